package delta

import (
	"context"
	"hash/maphash"
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
	var cols [numColumns][]byte
	plain := residuals{cols: &cols}
	var m *mixedCoder
	if e.o.Level == Small {
		s.coding = codingMixed
		if extra <= maxMixedExtra && e.o.without&extraMixing == 0 {
			s.coding |= codingExtra
		}
		s.tables = uint(min(max(bits.Len(uint(differ))+3, minTables), maxTables))
		m = newMixedCoder(newEncoder(), s.coding, s.tables, min(extra, maxMixedExtra))
	} else {
		s.coding = codingPredicted
		m = newMixedCoder(nil, s.coding, 0, 0)
		m.plain = plain.add
	}
	m.space, m.read = e.space, e.readOld
	if m.predictor, err = newPredictor(s.layout, e.covers, e.space, e.readOld); err != nil {
		return err
	}
	// The encoder writes what the decoder will make over what it shall make.
	seed := maphash.MakeSeed()
	want, at := maphash.Bytes(seed, e.new), 0
	err = m.walk(e.covers, s.size,
		func(n int) []byte { return e.new[at : at+n] },
		func(b []byte) error {
			cols[colExtra] = append(cols[colExtra], b...)
			return nil
		},
		func(b []byte) error {
			at += len(b)
			return ctx.Err()
		})
	if err != nil {
		return err
	}
	if maphash.Bytes(seed, e.new) != want {
		return errOther
	}
	if m.a != nil {
		cols[colMixed] = m.a.finish()
	}
	plain.flush()
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
