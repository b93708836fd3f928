package delta

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
)

// When the old blobs do not fit in memory together, every section of new gets
// an arena of its own: those blocks of old that seem to have something in
// common with it. To tell, a sketch of all old content is made in one pass. It
// holds the positions at which a rolling hash over the last 64 bytes has its
// upper bits zero, so content chooses them, wherever it stands.
const (
	sketchBlock = 256 << 10 // unit of choice
	sketchBytes = 16        // memory of one sample, about
	denseSketch = 8         // log2 of bytes for each sample, at best
)

type sketch struct {
	rate    uint // log2 of bytes for each sample
	samples map[uint64]uint32
}

// gear returns the number that the rolling hash adds for a byte: splitmix64.
func gear(b byte) uint64 {
	x := (uint64(b) + 1) * mul1
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// sampler finds samples in a stream.
type sampler struct {
	gears [256]uint64
	hash  uint64
	rate  uint
}

func newSampler(rate uint) *sampler {
	s := &sampler{rate: rate}
	for i := range s.gears {
		s.gears[i] = gear(byte(i))
	}
	return s
}

func (s *sampler) feed(p []byte, found func(i int, hash uint64)) {
	h := s.hash
	for i, b := range p {
		h = h<<1 + s.gears[b]
		if h>>(64-s.rate) == 0 {
			found(i, h)
		}
	}
	s.hash = h
}

// newSketch reads and verifies all old blobs.
func newSketch(ctx context.Context, old []Blob, sp space, memory int64) (*sketch, error) {
	rate := uint(denseSketch)
	if most := memory / sketchBytes; sp.size()>>rate > most {
		rate = uint(bits.Len64(uint64(sp.size() / most)))
	}
	k := &sketch{rate: rate, samples: map[uint64]uint32{}}
	s := newSampler(rate)
	buf := make([]byte, 1<<20)
	for i := range old {
		in := &jobReader{ctx: ctx, blobs: old[i : i+1]}
		for at := sp.starts[i]; at < sp.starts[i+1]; {
			n, err := in.Read(buf)
			if err != nil {
				in.close()
				return nil, err
			}
			s.feed(buf[:n], func(i int, h uint64) {
				if _, ok := k.samples[h]; !ok {
					k.samples[h] = uint32((at + int64(i)) / sketchBlock)
				}
			})
			at += int64(n)
		}
		if err := in.end(); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// blocks returns the blocks of old that share most with new, up to n of them,
// rising. A block brings its neighbours along: what changed beside it has no sample.
func (k *sketch) blocks(new []byte, last uint32, n int) []uint32 {
	hits := map[uint32]int{}
	newSampler(k.rate).feed(new, func(_ int, h uint64) {
		if b, ok := k.samples[h]; ok {
			hits[b]++
		}
	})
	order := make([]uint32, 0, len(hits))
	for b := range hits {
		order = append(order, b)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(hits[b], hits[a]), cmp.Compare(a, b))
	})
	taken := map[uint32]bool{}
	for _, b := range order {
		for _, c := range []uint32{b, b - 1, b + 1} {
			if len(taken) < n && c <= last { // 0-1 wraps around, beyond last
				taken[c] = true
			}
		}
	}
	list := make([]uint32, 0, len(taken))
	for b := range taken {
		list = append(list, b)
	}
	slices.Sort(list)
	return list
}

// choose returns an arena for one section of new, of at most size bytes. The
// content was verified when the sketch was made, not again here.
func (k *sketch) choose(ctx context.Context, old []Blob, sp space, new []byte, size int64) (*arena, error) {
	a := &arena{}
	total := sp.size()
	n := 0
	for _, b := range k.blocks(new, uint32((total-1)/sketchBlock), int(size/sketchBlock)) {
		pos := int64(b) * sketchBlock
		length := int(min(sketchBlock, total-pos))
		if e := len(a.extents) - 1; e >= 0 && a.extents[e].pos+int64(a.extents[e].n) == pos {
			a.extents[e].n += length
		} else {
			a.extents = append(a.extents, extent{pos: pos, at: n, n: length})
		}
		n += length
	}
	data := make([]byte, n)
	for _, e := range a.extents {
		in := &jobReader{ctx: ctx, blobs: old}
		if err := in.readAt(data[e.at:e.at+e.n], e.pos); err != nil {
			return nil, err
		}
	}
	a.index = newIndex(data)
	return a, nil
}
