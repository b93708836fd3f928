package main

import (
	"bufio"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
)

// sources are the files of the corpus that samples are made of: programs of
// several languages and machines, and text.
var sources = [...]struct{ release, file string }{
	{"go@1.26.8", "pkg/tool/linux_amd64/compile"},
	{"typescript@5.8.3", "lib/typescript.js"},
	{"node@26.10.0", "bin/node"},
	{"lightningcss@1.33.0", "lightningcss.linux-arm64-gnu.node"},
	{"oxlint@1.94.0", "oxlint.linux-x64-gnu.node"},
}

const (
	pieceSize = 256 << 10
	gapMean   = 32 << 10 // bytes from one edit to the next
	editBits  = 12       // an edit has at most 1<<editBits bytes, 340 on average
	// Of moveEvery pieces one is moved, moveBy pieces further on.
	moveEvery, moveBy = 64, 16
)

// A source gives one file again and again. From the second time on every byte
// stands for another: the content keeps its structure, and yet no pass has
// anything in common with another one.
type source struct {
	data []byte
	at   int
	pass uint64
	code [256]byte
	seed uint64
	news [256]byte // the code of content that no pass has
}

func newSource(data []byte, seed uint64) *source {
	s := &source{data: data, seed: seed, news: code(seed, 0)}
	for i := range s.code {
		s.code[i] = byte(i)
	}
	return s
}

// next returns the next piece, which ends with the file.
func (s *source) next(n int) []byte {
	if s.at == len(s.data) {
		s.at, s.pass = 0, s.pass+1
		s.code = code(s.seed, s.pass)
	}
	from := s.at
	s.at = min(from+n, len(s.data))
	return translate(s.data[from:s.at], &s.code)
}

// fresh returns n bytes at most that are like the source's and yet new.
func (s *source) fresh(r *rand.Rand, n int) []byte {
	at := r.IntN(max(1, len(s.data)-n))
	return translate(s.data[at:min(at+n, len(s.data))], &s.news)
}

// code is a permutation of all bytes.
func code(seed, pass uint64) (c [256]byte) {
	for i, to := range rand.New(rand.NewPCG(seed, pass)).Perm(len(c)) {
		c[i] = byte(to)
	}
	return c
}

func translate(b []byte, code *[256]byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = code[c]
	}
	return out
}

// loadSources reads the sources from the corpus.
func loadSources(cache string) ([]*source, error) {
	var all []*source
	for i, f := range sources {
		r, err := corpus.Find(f.release)
		if err != nil {
			return nil, err
		}
		b, err := os.ReadFile(filepath.Join(r.Dir(cache), f.file))
		if err != nil {
			return nil, err
		}
		all = append(all, newSource(b, uint64(i)))
	}
	return all, nil
}

// writeSample writes an old file of size bytes and a new one, in which about
// one byte of a hundred was edited: something replaced, something new, or
// something gone. The same sources give the same files.
func writeSample(old, new io.Writer, from []*source, size int64) error {
	r := rand.New(rand.NewPCG(uint64(size), 1))
	var moved []byte
	for i := 0; size > 0; i++ {
		piece := from[i%len(from)].next(int(min(pieceSize, size)))
		size -= int64(len(piece))
		if _, err := old.Write(piece); err != nil {
			return err
		}
		edited := edit(r, from, piece)
		if i%moveEvery == 0 && size > moveBy*pieceSize {
			moved, edited = edited, nil
		}
		if i%moveEvery == moveBy || size == 0 {
			edited, moved = append(edited, moved...), nil
		}
		if _, err := new.Write(edited); err != nil {
			return err
		}
	}
	return nil
}

// edit returns the piece's new version.
func edit(r *rand.Rand, from []*source, piece []byte) []byte {
	new := make([]byte, 0, len(piece)+len(piece)/8)
	for {
		keep := min(len(piece), int(r.ExpFloat64()*gapMean))
		new, piece = append(new, piece[:keep]...), piece[keep:]
		if len(piece) == 0 {
			return new
		}
		n := min(len(piece), 1+r.IntN(2<<r.IntN(editBits)))
		kind := r.IntN(3)
		if kind != 0 { // else they are gone
			new = append(new, from[r.IntN(len(from))].fresh(r, n)...)
		}
		if kind != 1 { // else they stay, behind what is new
			piece = piece[n:]
		}
	}
}

// makeSample writes the sample's two files into dir.
func makeSample(dir, cache string, size int64) (old, new string, err error) {
	from, err := loadSources(cache) // afresh: a sample depends on its size alone
	if err != nil {
		return "", "", err
	}
	old, new = filepath.Join(dir, "old"), filepath.Join(dir, "new")
	a, err := os.Create(old)
	if err != nil {
		return "", "", err
	}
	b, err := os.Create(new)
	if err != nil {
		return "", "", errors.Join(err, a.Close())
	}
	wa, wb := bufio.NewWriterSize(a, pieceSize), bufio.NewWriterSize(b, pieceSize)
	err = writeSample(wa, wb, from, size)
	return old, new, errors.Join(err, wa.Flush(), wb.Flush(), a.Close(), b.Close())
}
