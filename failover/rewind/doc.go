// Package rewind undoes the transactions that only one server has, from the row images in its own binary log, and
// makes its history forget them.
package rewind
