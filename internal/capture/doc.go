// Package capture reads what clients and real servers said to each other, recorded for tests and fuzzers: files of text lines
// in hexadecimal, "caps" (the features of the client), "case" (a name), ">" for what the client sent and "<" for the answer,
// as they are or compressed by gzip. TestMatrix of the integration tests records commands, TestRecordLogins logins.
package capture
