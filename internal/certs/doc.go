// Package certs keeps certificates and authorities that come from files, and reads the files again when they change.
// What is running is never disturbed: handshakes that begin later get the new ones, and a file that can't be used leaves
// the old ones in force.
package certs
