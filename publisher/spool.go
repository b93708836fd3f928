package publisher

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
)

// maxInMemory is how much of a file a spool keeps in memory. Most objects are
// smaller, and so never touch the disk before the store has them.
const maxInMemory = 1 << 20

// spool keeps what is written to it until its size and digest are known.
type spool struct {
	dir  string // for the temporary file
	mem  []byte
	file *os.File // what did not fit into mem; nil if all did
}

// Write keeps p.
func (s *spool) Write(p []byte) (n int, err error) {
	if s.file == nil && len(s.mem)+len(p) <= maxInMemory {
		s.mem = append(s.mem, p...)
		return len(p), nil
	}
	if s.file == nil {
		if s.file, err = os.CreateTemp(s.dir, "spool-"); err != nil {
			return 0, err
		}
	}
	return s.file.Write(p)
}

// reader reads all that was written, from its beginning.
func (s *spool) reader() io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.mem)
	}
	return io.MultiReader(bytes.NewReader(s.mem), io.NewSectionReader(s.file, 0, math.MaxInt64))
}

// close forgets what was written.
func (s *spool) close() error {
	s.mem = nil
	if s.file == nil {
		return nil
	}
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}
