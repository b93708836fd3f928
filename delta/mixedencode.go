package delta

import (
	"bytes"
	"context"
	"io"
	"math/bits"
)

// A mixedEncoder makes the data columns of one section.
type mixedEncoder struct {
	*packer
	arena  *arena
	covers []cover // over all old blobs
	new    []byte
}

func (e *mixedEncoder) encode(ctx context.Context, s *section, w io.Writer) error {
	differ, extra, err := e.count()
	if err != nil {
		return err
	}
	s.coding = codingMixed
	if extra <= maxMixedExtra {
		s.coding |= codingExtra
	}
	if better, err := e.prefersX86(); err != nil {
		return err
	} else if better {
		s.coding |= codingX86
	}
	s.tables = uint(min(max(bits.Len(uint(differ))+3, minTables), maxTables))
	m := newMixedCoder(newEncoder(), s.coding, s.tables, e.covers, min(extra, maxMixedExtra))
	m.space, m.read = e.space, e.readOld
	var cols [numColumns][]byte
	at := 0
	err = m.walk(e.covers, s.size,
		func(n int) []byte { return e.new[at : at+n] },
		func(n int) error {
			cols[colExtra] = append(cols[colExtra], e.new[at:at+n]...)
			at += n
			return nil
		},
		func(b []byte) error {
			at += len(b)
			return ctx.Err()
		})
	if err != nil {
		return err
	}
	cols[colMixed] = m.a.finish()
	return s.pack(w, cols, e.o)
}

// readOld reads from the arena, and from the files what is not there: bytes
// just behind a cover may be in no extent.
func (e *mixedEncoder) readOld(p []byte, pos int64) error {
	if at, ok := e.arena.find(pos); ok && at+len(p) <= len(e.arena.old) {
		if last, ok := e.arena.find(pos + int64(len(p)) - 1); ok && last == at+len(p)-1 {
			copy(p, e.arena.old[at:])
			return nil
		}
	}
	in := &jobReader{blobs: e.packer.old}
	return in.readAt(p, pos)
}

// count returns how many bytes inside covers differ, and how many are outside.
func (e *mixedEncoder) count() (differ, extra int, err error) {
	extra = len(e.new)
	for _, c := range e.covers {
		at, _ := e.arena.find(int64(c.old))
		differ += c.n - equalBytes(e.arena.old[at:at+c.n], e.new[c.new:c.new+c.n])
		extra -= c.n
	}
	return differ, extra, nil
}

// samplesX86 is how many windows with differences decide about prediction.
const samplesX86 = 256

// prefersX86 tries on some windows whether prediction makes more bytes right
// than wrong.
func (e *mixedEncoder) prefersX86() (bool, error) {
	m := &mixedCoder{predictor: newPredictor(e.covers), space: e.space}
	gain, tried := 0, 0
	for _, c := range e.covers {
		at, _ := e.arena.find(int64(c.old))
		for from := 0; from < c.n && tried < samplesX86; from += windowSize {
			n := min(windowSize, c.n-from)
			old, new := e.arena.old[at+from:][:n], e.new[c.new+from:][:n]
			if bytes.Equal(old, new) {
				continue
			}
			pred := m.pred[:n]
			copy(pred, old)
			m.predict(pred, old, c, from)
			gain += equalBytes(pred, new) - equalBytes(old, new)
			tried++
		}
	}
	return gain > 0, nil
}
