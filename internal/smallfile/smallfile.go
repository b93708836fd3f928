// Package smallfile reads files that have to be small, whole into memory.
//
// Whoever may write a file may make it as large as they like: one that is larger
// than its reader expects is an error, and takes no more memory than that.
package smallfile

import (
	"fmt"
	"io"
	"os"
)

// Read reads a file that has no more than max bytes.
func Read(name string, max int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > max {
		return nil, fmt.Errorf("read %s: want at most %d bytes, got more", name, max)
	}
	return b, nil
}
