// Command mtr runs the regression tests that come with a server (mysql-test) at two servers that are set up alike, directly
// at the one and through onewriter at the other, and names the tests whose output differs: every line that the tests print
// is compared, whether it is what the server's makers expect or not.
//
//	go run ./integration/clients/mtr -run '^main\.(ps|sp)'
//
// A test that differs runs again on both sides; what differs from its own first run says nothing. known.txt holds tests that
// have to differ, each with its reason.
package main
