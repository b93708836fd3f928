package delta

// Tables of offsets change in every entry, so that no run of equal bytes is
// long enough to be found, and where an entry was added, the diagonal is lost
// until the table ends. But what stands between two covers is most often an
// edit of what stood between them in old. So, in the gaps that the search has
// left, diagonals near those of the neighbours are tried, in steps of a word.
const (
	fillGap   = 24 // shortest gap that is looked into
	fillSpan  = 48 // bytes that decide about a diagonal
	fillEqual = 34 // so many of them must agree
	fillFirst = 4  // and so many of the first eight
	fillReach = 64 // words to try on either side
	fillWord  = 4
	fillStep  = 8  // bytes to go on when nothing agrees
	fillSlack = 24 // differences beyond equal bytes that end a cover
)

// fill returns the covers of new[from:to] with more of them in the gaps.
func (x *index) fill(new []byte, from, to int, covers []cover) []cover {
	f := filler{old: x.old, new: new}
	for i := 0; i <= len(covers); i++ {
		start, end := from, to
		f.near = f.near[:0]
		if i > 0 {
			c := covers[i-1]
			start = c.new + c.n
			f.near = append(f.near, c.old-c.new)
		}
		if i < len(covers) {
			c := covers[i]
			end = c.new
			f.near = append(f.near, c.old-c.new)
		}
		f.gap(start, end)
		if i < len(covers) {
			f.out = join(f.out, covers[i])
		}
	}
	return f.out
}

type filler struct {
	old, new []byte
	near     []int // diagonals to try others around
	out      []cover
}

// gap looks for covers of new[from:to].
func (f *filler) gap(from, to int) {
	if len(f.near) == 0 {
		return
	}
	for n := from; n+fillGap <= to; {
		diag, ok := f.best(n, to)
		if !ok {
			n += fillStep
			continue
		}
		c := f.extend(n, from, to, diag)
		if c.n < fillGap {
			n += fillStep
			continue
		}
		f.out = join(f.out, c)
		n = c.new + c.n
		from = n
		f.near[0] = diag
	}
}

// best returns the diagonal on which most of the next bytes agree, if these
// are enough. Of equals it takes the nearest.
func (f *filler) best(n, to int) (diag int, ok bool) {
	span := min(fillSpan, to-n)
	new := f.new[n : n+span]
	word := le64(new)
	most, far := fillEqual*span/fillSpan, fillReach*fillWord
	for _, d := range f.near {
		at := n + d
		first := max(at-(fillReach-1)*fillWord, at&(fillWord-1))
		last := min(at+(fillReach-1)*fillWord, len(f.old)-span)
		for o := first; o <= last; o += fillWord {
			if equalWord(le64(f.old[o:]), word) < fillFirst {
				continue
			}
			v := equalBytes(f.old[o:o+span], new)
			if away := max(o-at, at-o); v > most || v == most && away < far {
				most, far, diag, ok = v, away, o-n, true
			}
		}
	}
	return diag, ok
}

// extend returns the cover around n on a diagonal, inside new[from:to].
func (f *filler) extend(n, from, to, diag int) cover {
	fwd, back := 0, 0
	for k, score, best := 0, 0, 0; n+k < to && n+k+diag < len(f.old) && score > best-fillSlack; {
		if f.new[n+k] == f.old[n+k+diag] {
			score++
		} else {
			score--
		}
		if k++; score > best {
			best, fwd = score, k
		}
	}
	for k, score, best := 0, 0, 0; n-k > from && n-k+diag > 0 && score > best-fillSlack; {
		if k++; f.new[n-k] == f.old[n-k+diag] {
			score++
		} else {
			score--
		}
		if score > best {
			best, back = score, k
		}
	}
	return cover{old: n - back + diag, new: n - back, n: fwd + back}
}
