package delta

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// A spool keeps what is written until it is read once: in memory, or beyond a
// limit in a temporary file.
type spool struct {
	limit int   // what is held in memory
	most  int64 // what is taken at all; 0 for everything
	size  int64
	mem   bytes.Buffer
	file  *os.File
}

// errTooLarge reports a spool that shall not take more.
var errTooLarge = errors.New("too large")

func (s *spool) Write(p []byte) (int, error) {
	if s.most > 0 && int64(len(p)) > s.most-s.size {
		return 0, errTooLarge
	}
	if s.file == nil && s.mem.Len()+len(p) > s.limit {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	var n int
	var err error
	if s.file != nil {
		n, err = s.file.Write(p)
	} else {
		n, err = s.mem.Write(p)
	}
	s.size += int64(n)
	return n, err
}

func (s *spool) spill() error {
	f, err := os.CreateTemp("", "treegraft-pack-*")
	if err != nil {
		return fmt.Errorf("make room for a pack: %w", err)
	}
	s.file = f
	_, err = s.mem.WriteTo(f)
	s.mem = bytes.Buffer{}
	return err
}

// WriteTo writes everything to w.
func (s *spool) WriteTo(w io.Writer) (int64, error) {
	if s.file == nil {
		n, err := w.Write(s.mem.Bytes())
		return int64(n), err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	return io.CopyBuffer(onlyWriter{w}, s.file, make([]byte, 256<<10))
}

// close removes the temporary file. It may be called more than once.
func (s *spool) close() error {
	if s == nil || s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
