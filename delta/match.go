package delta

import (
	"encoding/binary"
	"math/bits"
)

// The matcher finds covers without a suffix array. Two tables hold sampled
// positions of old under a hash of a few bytes: the long one finds what is
// certainly the same, the short one what may be. While the bytes agree, or
// nearly agree, the matcher stays on its diagonal (old position minus new
// position) and looks up nothing: most of an update costs one comparison. Lost,
// it looks up every position of new until a diagonal explains more than the
// one it is on.
//
// Memory: 1.75 bytes for each byte of old. Time: O(old/step + new), plus the
// comparisons of candidates, of scoreSpan bytes each.
const (
	shortKey  = 8  // bytes under the short hash
	longKey   = 32 // bytes under the long hash
	shortStep = 4  // every fourth position of old is in the short table,
	longStep  = 4  // and in the long one, as far as there is room

	minRun     = 16 // shortest run of equal bytes that starts a cover
	minRunText = 24 // in text, where chance makes longer ones
	minGain    = 12 // bytes that a new diagonal must explain beyond the present one

	lookAhead = 24 // after a difference: stay if half of so many bytes agree
	scoreSpan = 64 // bytes over which candidates are compared
)

// index holds the sampled positions of old.
type index struct {
	old         []byte
	short, long table
}

// A table maps hashes to the numbers of samples. What is left of a slot's bits
// holds a part of the hash, so that most look-ups in vain end in the table.
type table struct {
	slots    []uint32 // number plus one, below the tag; zero is empty
	tagShift uint     // of a slot
}

// newTable returns a table for so many samples. Of two that want the same slot,
// the later one stays.
func newTable(samples, slots int) table {
	return table{make([]uint32, slots+1), uint(bits.Len(uint(samples + 1)))}
}

// slot returns where a hash belongs.
func (t *table) slot(hash uint64) *uint32 {
	return &t.slots[hash>>32*uint64(len(t.slots))>>32]
}

func (t *table) put(hash uint64, sample int) {
	*t.slot(hash) = uint32(hash)<<t.tagShift | uint32(sample+1)
}

// get returns a sample with that hash, or −1.
func (t *table) get(hash uint64) int {
	s := *t.slot(hash)
	if uint32(hash)<<t.tagShift^s>>t.tagShift<<t.tagShift != 0 {
		return -1
	}
	return int(s&(1<<t.tagShift-1)) - 1
}

func newIndex(old []byte) *index {
	x := &index{old: old}
	x.short = newTable(len(old)/shortStep, len(old)/shortStep)
	x.long = newTable(len(old)/longStep, len(old)/longStep*3/4)
	// Backwards, so that of equal keys the first position stays.
	for k := (len(old) - shortKey) / shortStep; k >= 0 && len(old) >= shortKey; k-- {
		x.short.put(shortHash(le64(old[k*shortStep:])), k)
	}
	for k := (len(old) - longKey) / longStep; k >= 0 && len(old) >= longKey; k-- {
		x.long.put(longHash(old[k*longStep:]), k)
	}
	return x
}

const (
	mul1 = 0x9E3779B97F4A7C15
	mul2 = 0xC2B2AE3D27D4EB4F
)

func shortHash(key uint64) uint64 {
	h := key * mul1
	return h ^ h>>32
}

func longHash(b []byte) uint64 {
	b = b[:longKey]
	h := le64(b)*mul1 ^ bits.RotateLeft64(le64(b[8:])*mul2, 17)
	h = (h ^ h>>29) * mul1
	h ^= bits.RotateLeft64(le64(b[16:])*mul2, 31) ^ le64(b[24:])*mul1
	h = (h ^ h>>32) * mul2
	return h ^ h>>32
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// matchLen returns how many bytes at the start of a and b are equal.
func matchLen(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	i := 0
	for i+8 <= n {
		if x := le64(a[i:]) ^ le64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)>>3
		}
		i += 8
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// matchLenBack returns how many bytes at the end of a and b are equal.
func matchLenBack(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[len(a)-n:], b[len(b)-n:]
	i := 0
	for i+8 <= n {
		if x := le64(a[n-i-8:]) ^ le64(b[n-i-8:]); x != 0 {
			return i + bits.LeadingZeros64(x)>>3
		}
		i += 8
	}
	for i < n && a[n-1-i] == b[n-1-i] {
		i++
	}
	return i
}

// equalBytes returns how many bytes of a and b, place by place, are equal.
func equalBytes(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	i, c := 0, 0
	for i+8 <= n {
		c += equalWord(le64(a[i:]), le64(b[i:]))
		i += 8
	}
	for ; i < n; i++ {
		if a[i] == b[i] {
			c++
		}
	}
	return c
}

// equalWord returns how many of the eight bytes of two words are equal.
func equalWord(a, b uint64) int {
	x := a ^ b
	// One bit for each byte of x that is not zero; a product adds them up.
	x = (x&0x7F7F7F7F7F7F7F7F + 0x7F7F7F7F7F7F7F7F | x) >> 7 & 0x0101010101010101
	return 8 - int(x*0x0101010101010101>>56)
}

// scanner walks over one stretch of new and collects covers.
type scanner struct {
	x        *index
	old, new []byte
	end      int // of the stretch
	minRun   int
	strict   bool // leave a diagonal as soon as a few bytes differ
	covers   []cover

	start int  // first byte of new that no closed cover has seen
	diag  int  // old position minus new position of the open cover
	open  bool // whether there is an open cover

	found candidates // what was looked up last

	home    int // the diagonal of the last hint: that of the file's own old content
	hasHome bool
}

// scan returns the covers of new[from:to]. At positions listed in hints it
// tries their diagonal first.
func (x *index) scan(new []byte, from, to int, hints []hint) []cover {
	s := &scanner{x: x, old: x.old, new: new, end: to, start: from, minRun: minRun}
	if isText(new[from:to]) {
		s.minRun = minRunText
	}
	return s.run(from, hints)
}

// scanTable returns the covers of a table, new[from:to]. In tables half of the
// bytes agree anywhere, so only nearly equal records count.
func (x *index) scanTable(new []byte, from, to int) []cover {
	s := &scanner{x: x, old: x.old, new: new, end: to, start: from, minRun: minRun, strict: true}
	return s.run(from, nil)
}

func (s *scanner) run(n int, hints []hint) []cover {
	to := s.end
	for n < to {
		next := to
		for len(hints) > 0 && hints[0].new < n { // only at the start of a stretch
			s.home, s.hasHome = hints[0].old-hints[0].new, true
			hints = hints[1:]
		}
		if len(hints) > 0 && hints[0].new == n {
			s.tryHint(n, hints[0].old-n)
			hints = hints[1:]
		}
		if len(hints) > 0 {
			next = min(to, hints[0].new)
		}
		n = s.step(n, next)
	}
	s.close(to, 0)
	return s.covers
}

// hint says that new probably continues at a position of old.
type hint struct{ new, old int }

func (s *scanner) tryHint(n, diag int) {
	s.home, s.hasHome = diag, true
	if s.open && diag == s.diag || n+diag >= len(s.old) {
		return
	}
	if s.score(n, diag, scoreSpan) > max(s.current(n, scoreSpan)+minGain, s.minRun) {
		s.close(n, diag)
	}
}

// step goes on from n, and returns where it stands: at stop, or at the start
// of a new cover.
func (s *scanner) step(n, stop int) int {
	if s.open {
		n = s.follow(n, stop)
		if n >= stop {
			return stop
		}
	}
	return s.search(n, stop)
}

// follow stays on the open diagonal through equal bytes and sparse
// differences, and returns where it gets lost.
func (s *scanner) follow(n, stop int) int {
	for n < stop {
		o := n + s.diag
		if o < 0 || o >= len(s.old) {
			return n
		}
		n += matchLen(s.old[o:], s.new[n:stop])
		if n < stop && s.goHome(n) {
			continue
		}
		if n >= stop || s.lost(n+1) {
			return min(n, stop)
		}
		n++
	}
	return stop
}

// lost reports whether the open diagonal is not worth staying on.
func (s *scanner) lost(n int) bool {
	if s.strict {
		return s.score(n, s.diag, scoreSpan) < scoreSpan-8
	}
	return s.score(n, s.diag, lookAhead) < lookAhead/2
}

// goHome returns to the file's own old content if that explains clearly more.
// Programs share long stretches of code that differ in addresses only: once
// strayed into another one, the matcher would follow it for megabytes.
func (s *scanner) goHome(n int) bool {
	if !s.hasHome || s.diag == s.home {
		return false
	}
	if v := s.score(n, s.home, scoreSpan); v < scoreSpan*3/4 || v < s.current(n, scoreSpan)+minRun {
		return false
	}
	s.close(n, s.home)
	return true
}

// search looks up every position from n until it finds a better diagonal,
// or that the open one is good again.
func (s *scanner) search(n, stop int) int {
	for i := n; i < stop; i++ {
		if s.open && !s.strict && s.score(i, s.diag, 32) >= 20 {
			return i
		}
		diag, ok := s.lookUp(i)
		if !ok {
			continue
		}
		s.close(i, diag)
		return i
	}
	return stop
}

// lookUp returns the best diagonal for position i, if there is a good one. Most
// candidates share nothing but a hash with it, so eight bytes are compared first.
func (s *scanner) lookUp(i int) (diag int, ok bool) {
	if i+shortKey > len(s.new) {
		return 0, false
	}
	if i < s.found.from || i >= s.found.to {
		s.found.look(s.x, s.new, i)
	}
	for _, sample := range s.found.at[i-s.found.from] {
		c := int(sample)
		if c >= 0 && c+shortKey <= len(s.old) && le64(s.old[c:]) == le64(s.new[i:]) && s.better(i, c) {
			return c - i, true
		}
	}
	return 0, false
}

// candidates holds what the tables say about the next positions of new. They
// are asked for many positions at once, so that the processor waits for memory
// once: the tables are too large for its caches.
type candidates struct {
	from, to int
	at       [batch][2]int64 // positions of old by the long and the short table, or negative
}

const batch = 32

// look asks for the positions of new from i.
func (c *candidates) look(x *index, new []byte, i int) {
	c.from, c.to = i, min(i+batch, len(new)-shortKey+1)
	for k := range c.to - i {
		c.at[k][0] = -1
		if i+k+longKey <= len(new) {
			c.at[k][0] = int64(x.long.get(longHash(new[i+k:]))) * longStep
		}
		c.at[k][1] = int64(x.short.get(shortHash(le64(new[i+k:])))) * shortStep
	}
}

// better reports whether position c of old is worth leaving the open diagonal.
func (s *scanner) better(i, c int) bool {
	v := s.score(i, c-i, scoreSpan)
	return v >= max(s.current(i, scoreSpan)+minGain, s.minRun) && s.runAt(i, c) >= s.minRun
}

// runAt returns the length of the run of equal bytes around a candidate.
func (s *scanner) runAt(i, c int) int {
	return matchLen(s.old[c:min(len(s.old), c+scoreSpan)], s.new[i:]) +
		matchLenBack(s.old[max(0, c-scoreSpan):c], s.new[s.start:i])
}

// score counts the equal bytes of the next span bytes on a diagonal.
func (s *scanner) score(n, diag, span int) int {
	o := n + diag
	if o < 0 || o >= len(s.old) || n >= len(s.new) {
		return 0
	}
	return equalBytes(s.old[o:min(len(s.old), o+span)], s.new[n:min(len(s.new), n+span)])
}

func (s *scanner) current(n, span int) int {
	if !s.open {
		return 0
	}
	return s.score(n, s.diag, span)
}

// close ends the open cover somewhere up to at, and opens one on diag.
// The new one may reach back to where the old one ends.
func (s *scanner) close(at, diag int) {
	fwd := 0
	if s.open {
		fwd = s.extendForward(at)
	}
	back := 0
	if at < s.end {
		back = s.extendBack(at, diag)
	}
	if over := s.start + fwd - (at - back); over > 0 {
		keep := s.splitOverlap(s.start+fwd-over, over, diag)
		fwd -= over - keep
		back -= keep
	}
	if fwd > 0 {
		s.covers = append(s.covers, cover{old: s.start + s.diag, new: s.start, n: fwd})
	}
	s.start, s.diag, s.open = at-back, diag, true
}

// extendForward returns how far the open cover is worth having: the length
// with the most equal bytes over different ones.
func (s *scanner) extendForward(at int) int {
	n := min(at-s.start, len(s.old)-s.start-s.diag)
	a, b := s.old[s.start+s.diag:][:max(n, 0)], s.new[s.start:]
	score, best, length := 0, 0, 0
	for k := 0; k < n; {
		if run := matchLen(a[k:], b[k:]); run > 0 {
			score += run
			k += run
			if score > best {
				best, length = score, k
			}
			continue
		}
		score--
		k++
	}
	return length
}

// extendBack returns how far before at the next cover is worth having.
func (s *scanner) extendBack(at, diag int) int {
	n := min(at-s.start, at+diag)
	a, b := s.old[at+diag-max(n, 0):at+diag], s.new[at-max(n, 0):at]
	score, best, length := 0, 0, 0
	for k := 0; k < n && k <= length+256; {
		if run := matchLenBack(a[:n-k], b[:n-k]); run > 0 {
			score += run
			k += run
			if score > best {
				best, length = score, k
			}
			continue
		}
		score--
		k++
	}
	return length
}

// splitOverlap divides n bytes of new from at, which both the open cover and
// the next one explain, and returns how many the open one should keep.
func (s *scanner) splitOverlap(at, n, diag int) int {
	a, b, c := s.old[at+s.diag:], s.old[at+diag:], s.new[at:]
	score, best, keep := 0, 0, 0
	for k := range n {
		if a[k] == c[k] {
			score++
		}
		if b[k] == c[k] {
			score--
		}
		if score > best {
			best, keep = score, k+1
		}
	}
	return keep
}
