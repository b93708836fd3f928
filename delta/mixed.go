package delta

import "bytes"

// A mixedCoder codes the new bytes of a section into one stream of bits, or
// makes them out of it, with the models for residuals and extra bytes. Both
// sides walk the same way: the bytes before a cover, the cover, and so on.
type mixedCoder struct {
	a         *arith
	residuals *residualModel
	extra     *extraModel // nil if extra bytes have a column of their own
	predictor *predictor
	plain     func(pred, new []byte) error // codes residuals in place of the model, if there is one

	space space                             // of the old blobs, as covers count
	read  func(p []byte, pos int64) error   // reads them
	old   [windowSize + 2*windowMargin]byte // buffers
	pred  [windowSize]byte
	class [windowSize]byte
	guess prediction
	tail  uint64 // the last eight new bytes

	lesson  int // most old bytes to learn from before a gap
	learned int // end of the old bytes that were learned from last
}

const (
	windowSize   = 64 << 10
	windowMargin = 8

	// A section with more covers than this is not mixed: all of them are held
	// in memory, with the predictor's regions less than 20 MiB.
	maxMixedCovers = 3 << 15
)

// newMixedCoder returns a coder for a section with n extra bytes. The caller
// sets space, read and predictor.
func newMixedCoder(a *arith, c coding, tables uint, n int) *mixedCoder {
	m := &mixedCoder{a: a}
	if c&codingMixed != 0 {
		m.residuals = newResidualModel(tables)
	}
	if c&codingExtra != 0 {
		m.extra = newExtraModel(n)
	}
	return m
}

// cover codes the window of new bytes that starts at a place of the cover.
func (m *mixedCoder) cover(c cover, from int, new []byte) error {
	first := from
	lo := max(0, from-windowMargin)
	hi := min(c.n, from+len(new)+windowMargin)
	old := m.old[:hi-lo]
	if err := m.read(old, int64(c.old+lo)); err != nil {
		return err
	}
	w := window{old: old, base: from - lo, new: new}
	same := old[w.base:][:len(new)]
	if m.plain == nil && m.unchanged(same, new) {
		copy(new, same)
		m.residuals.skip(len(new))
	} else {
		w.pred, w.class = m.pred[:len(new)], m.class[:len(new)]
		copy(w.pred, same)
		clear(w.class)
		m.predictor.start(&m.guess, c, from, len(new))
		for from := 0; from < len(new); from += blockSize {
			end := min(from+blockSize, len(new))
			m.guess.predict(w.pred, w.class, &w, from, end)
			m.predictor.addends.predict(w.pred[from:end], w.class[from:end], c.new+first+from)
			if m.plain == nil {
				m.residuals.codeBlock(m.a, &w, from, end)
			} else if err := m.plain(w.pred[from:end], new[from:end]); err != nil {
				return err
			}
			m.guess.learn(w.pred, new, end)
		}
	}
	for _, b := range new[max(0, len(new)-8):] {
		m.tail = m.tail<<8 | uint64(b)
	}
	return nil
}

// unchanged codes whether a window is the same in old and new.
func (m *mixedCoder) unchanged(old, new []byte) bool {
	r := m.residuals
	bit := 0
	if !m.a.decoding && bytes.Equal(old, new) {
		bit = 1
	}
	c := [bitInputs]uint32{hash2(r.windows&1, 0), hash2(r.windows&0xff, 1)}
	bit = r.window.code(m.a, bit, &c, 0)
	r.windows = r.windows<<1 | uint32(bit)
	return bit == 1
}

// gap codes new bytes that no cover explains. The last cover ended at a place
// in old; done of the bytes behind it have been compared already.
func (m *mixedCoder) gap(oldEnd, done int, new []byte) error {
	if done == 0 && m.lesson > 0 {
		if err := m.learn(oldEnd); err != nil {
			return err
		}
	}
	was := m.old[:0]
	if oldEnd > 0 {
		end := int(m.space.starts[m.space.at(int64(oldEnd-1))+1])
		was = m.old[:min(len(new)+1, max(end-oldEnd-done, 0))]
	}
	if len(was) > 0 {
		if err := m.read(was, int64(oldEnd+done)); err != nil {
			return err
		}
	}
	m.tail = m.extra.code(m.a, new, was, m.tail)
	return nil
}

// Before a gap, the model for extra bytes learns from old bytes around the
// place: an edit uses the words that stand beside it. This takes as long as
// coding them would, so there is a bound for a section, which all gaps share.
const (
	lessons    = 256 << 10
	maxLesson  = 1 << 10
	minLesson  = 64
	lessonBack = 3 // a third of a lesson stands before the place
)

// teach divides the lessons among the gaps that covers leave.
func (m *mixedCoder) teach(covers []cover) {
	gaps, at := 1, 0
	for _, c := range covers {
		if c.new > at {
			gaps++
		}
		at = c.new + c.n
	}
	if m.lesson = min(lessons/gaps, maxLesson); m.extra == nil || m.lesson < minLesson {
		m.lesson = 0
	}
}

// learn takes the lesson of a gap behind a cover that ended at a place in old.
func (m *mixedCoder) learn(oldEnd int) error {
	if oldEnd == 0 {
		return nil
	}
	k := m.space.at(int64(oldEnd - 1))
	from := max(oldEnd-m.lesson/lessonBack, int(m.space.starts[k]))
	to := min(from+m.lesson, int(m.space.starts[k+1]))
	if from < m.learned && m.learned < to {
		from = m.learned // the rest is known
	}
	m.learned = to
	b := m.old[:to-from]
	if err := m.read(b, int64(from)); err != nil {
		return err
	}
	m.extra.learn(b)
	return nil
}

// walk calls cover and gap for all of new, in pieces of at most a window.
// Before each call, piece returns memory for so many new bytes, with their
// content when encoding; after it, done takes them.
// Extra codes bytes that no model does.
func (m *mixedCoder) walk(covers []cover, size int64, piece func(n int) []byte, extra, done func([]byte) error) error {
	m.teach(covers)
	made := func(b []byte) error {
		m.predictor.addends.made(b)
		return done(b)
	}
	at, oldEnd := int64(0), 0
	gap := func(n int) (err error) {
		for from := 0; from < n; {
			b := piece(min(n-from, windowSize))
			if m.extra == nil {
				err = extra(b)
			} else {
				err = m.gap(oldEnd, from, b)
			}
			if err != nil {
				return err
			}
			if err := made(b); err != nil {
				return err
			}
			from += len(b)
		}
		return nil
	}
	for _, c := range covers {
		if err := gap(c.new - int(at)); err != nil {
			return err
		}
		for from := 0; from < c.n; {
			b := piece(min(c.n-from, windowSize))
			if err := m.cover(c, from, b); err != nil {
				return err
			}
			if err := made(b); err != nil {
				return err
			}
			from += len(b)
		}
		at, oldEnd = int64(c.new+c.n), c.old+c.n
	}
	return gap(int(size - at))
}
