// Package child runs a program as a child process: what it prints goes to a file, it is ended in order, and it does not
// outlive this process.
package child
