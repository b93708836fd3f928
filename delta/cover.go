package delta

import (
	"encoding/binary"
	"sort"
)

// cover says that n bytes of new, from position new, are like the n bytes of
// old from position old. Covers are in order of new and do not overlap there.
type cover struct{ old, new, n int }

// join appends covers to a list, and makes one of two that continue each other.
func join(list []cover, more ...cover) []cover {
	for _, c := range more {
		if k := len(list) - 1; k >= 0 && list[k].new+list[k].n == c.new && list[k].old+list[k].n == c.old {
			list[k].n += c.n
		} else {
			list = append(list, c)
		}
	}
	return list
}

// controlColumns returns the columns that say where the covers are.
func controlColumns(covers []cover) (cols [numColumns][]byte) {
	oldEnd, newEnd := 0, 0
	for _, c := range covers {
		cols[colSkip] = binary.AppendUvarint(cols[colSkip], uint64(c.new-newEnd))
		cols[colLength] = binary.AppendUvarint(cols[colLength], uint64(c.n))
		cols[colJump] = binary.AppendVarint(cols[colJump], int64(c.old-oldEnd))
		oldEnd, newEnd = c.old+c.n, c.new+c.n
	}
	return cols
}

// dataColumns returns the columns that say how new differs from what the
// covers predict. Here the covers' old positions are those in the slice old.
func dataColumns(covers []cover, old, new []byte) (cols [numColumns][]byte) {
	r := residuals{cols: &cols}
	newEnd := 0
	for _, c := range covers {
		cols[colExtra] = append(cols[colExtra], new[newEnd:c.new]...)
		r.add(old[c.old:c.old+c.n], new[c.new:c.new+c.n])
		newEnd = c.new + c.n
	}
	cols[colExtra] = append(cols[colExtra], new[newEnd:]...)
	r.flush()
	return cols
}

// residuals collects differences as runs: so many zeros, then so many values.
type residuals struct {
	cols       *[numColumns][]byte
	zeros, run int
}

func (r *residuals) add(old, new []byte) error {
	for i := 0; i < len(new); {
		n := matchLen(old[i:], new[i:])
		if n > 0 && r.run > 0 {
			r.flush()
		}
		r.zeros += n
		for i += n; i < len(new) && new[i] != old[i]; i++ {
			r.cols[colValue] = append(r.cols[colValue], new[i]-old[i])
			r.run++
		}
	}
	return nil
}

func (r *residuals) flush() {
	if r.zeros+r.run == 0 {
		return
	}
	r.cols[colZeros] = binary.AppendUvarint(r.cols[colZeros], uint64(r.zeros))
	r.cols[colRun] = binary.AppendUvarint(r.cols[colRun], uint64(r.run))
	r.zeros, r.run = 0, 0
}

// space is a list of blobs seen as if they stood one behind the other.
type space struct {
	starts []int64 // of each blob, and the end of the last
}

func newSpace(refs []Ref) space {
	s := space{starts: make([]int64, 1, len(refs)+1)}
	for _, r := range refs {
		s.starts = append(s.starts, s.size()+r.Size)
	}
	return s
}

func (s space) size() int64 { return s.starts[len(s.starts)-1] }

// at returns the blob that holds the byte at a position.
func (s space) at(pos int64) int {
	return sort.Search(len(s.starts)-1, func(i int) bool { return s.starts[i+1] > pos })
}

// used marks the blobs that the covers read.
func (s space) used(covers []cover, mark []bool) {
	for _, c := range covers {
		for i := s.at(int64(c.old)); i < len(mark) && s.starts[i] < int64(c.old+c.n); i++ {
			mark[i] = true
		}
	}
}

// narrow turns covers over all blobs into covers over the listed ones.
func (s space) narrow(covers []cover, list []int) []cover {
	shift := make(map[int]int64, len(list))
	at := int64(0)
	for _, i := range list {
		shift[i] = at - s.starts[i]
		at += s.starts[i+1] - s.starts[i]
	}
	out := make([]cover, len(covers))
	for k, c := range covers {
		// A cover over several blobs is over neighbours, and these stay so.
		c.old += int(shift[s.at(int64(c.old))])
		out[k] = c
	}
	return out
}
