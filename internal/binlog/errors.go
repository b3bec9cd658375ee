package binlog

import "errors"

var (
	// ErrPurged means that the server has deleted binary logs that would have to be read.
	ErrPurged = errors.New("the binary log does not reach back far enough")
	// ErrShort means that the binary log ended before the place up to which it was to be read.
	ErrShort = errors.New("the binary log ends too early")
	// ErrTooLarge means that there is more than is kept in memory, or that a file has grown past 4 GiB, which is all
	// that the protocol can address.
	ErrTooLarge = errors.New("too much in the binary log")
	// ErrNoLog means that the server has no binary log, or one that cannot be compared by GTID.
	ErrNoLog = errors.New("no usable binary log")
)
