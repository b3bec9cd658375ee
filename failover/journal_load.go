package failover

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLine bounds one line of the journal, in bytes; longer ones are passed over.
const maxLine = 1 << 20

// name is the journal's file (0) or one of its predecessors.
func (j *Journal) name(i int) string {
	if i == 0 {
		return j.cfg.Path
	}
	return fmt.Sprintf("%s.%d", j.cfg.Path, i)
}

// load fills the rings from disk and goes on with the numbers that are there. What cannot be read is passed over: an old
// line must not keep the proxy from starting.
func (j *Journal) load() {
	j.mu.Lock()
	defer j.mu.Unlock()
	bad, err := j.scan(func(e Event) {
		j.next = e.Seq
		j.ring(e.Cluster).add(e)
	})
	if bad > 0 {
		err = errors.Join(err, fmt.Errorf("%d damaged lines of the journal %s were passed over", bad, j.cfg.Path))
	}
	j.unread = err
}

// Unread says what of the files could not be read when the journal was opened, nil when all could. It is for the log.
func (j *Journal) Unread() error { return j.unread }

// scan hands every event on disk to each, oldest first, and counts the lines that are none. Numbers only grow: a journal
// of a version that began anew with each process is numbered on. A file that cannot be read does not keep it from the
// others.
func (j *Journal) scan(each func(Event)) (bad int, err error) {
	files, err := j.files()
	var last uint64
	for _, file := range files {
		n, readErr := scanLines(bufio.NewReaderSize(file, 64<<10), func(e Event) {
			if e.Seq <= last {
				e.Seq = last + 1
			}
			last = e.Seq
			each(e)
		})
		bad += n
		if readErr = errors.Join(readErr, file.Close()); readErr != nil {
			err = errors.Join(err, fmt.Errorf("read the journal: %w", readErr))
		}
	}
	return bad, err
}

// files opens all files that there are, oldest first. It keeps the journal from rotating meanwhile; later a rotation
// does no harm.
func (j *Journal) files() (out []*os.File, err error) {
	j.fileMu.Lock()
	defer j.fileMu.Unlock()
	for i := j.cfg.Keep; i >= 0; i-- {
		file, openErr := os.Open(j.name(i))
		switch {
		case openErr == nil:
			out = append(out, file)
		case !os.IsNotExist(openErr):
			err = errors.Join(err, fmt.Errorf("read the journal: %w", openErr))
		}
	}
	return out, err
}

// scanLines counts the lines that are no events.
func scanLines(lines *bufio.Reader, each func(Event)) (bad int, err error) {
	for err == nil {
		var line []byte
		var e Event
		line, err = readLine(lines)
		switch {
		case len(bytes.TrimSpace(line)) == 0 && (len(line) > 0 || err != nil): // an empty line, or the end
		case json.Unmarshal(line, &e) != nil || e.Kind == "":
			bad++
		default:
			each(e)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return bad, err
}

// readLine returns one line, or nothing for one that is longer than maxLine. The error is that of the reader.
func readLine(r *bufio.Reader) (line []byte, err error) {
	length := 0
	for {
		part, err := r.ReadSlice('\n')
		if length += len(part); length <= maxLine {
			line = append(line, part...)
		} else {
			line = nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// finishLine ends a last line that a crash has cut off, so that the next event begins its own.
func (j *Journal) finishLine() error {
	if j.size == 0 {
		return nil
	}
	last := make([]byte, 1)
	if _, err := j.file.ReadAt(last, j.size-1); err != nil {
		return fmt.Errorf("read the end of the journal: %w", err)
	}
	if last[0] == '\n' {
		return nil
	}
	n, err := j.file.Write([]byte{'\n'})
	j.size += int64(n)
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}
