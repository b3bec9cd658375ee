// Package archtest keeps the arrows between the packages of this project as a table and fails when the code has one
// that the table has not. Adding an arrow or a package is a decision, and the table is where it is written down.
package archtest
