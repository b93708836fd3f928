package powercuttest

import (
	"iter"
	"math/rand/v2"
	"slices"
)

// event is one thing that happened to a disk.
type event struct {
	kind kind
	off  int64  // of a write
	data []byte // of a write
	mark string
}

type kind uint8

const (
	wrote kind = iota
	flushed
	marked
)

// Cut is a moment at which the power failed.
type Cut struct {
	Image *Image
	Mark  string // the last one before, see [Disk.Mark]
	Lost  int    // pages that were written and not flushed, and did not reach the disk
}

// Cuts yields n states that the disk may hold: of moments just before a flush,
// at the very end, and chosen at random, in order of time.
func (d *Disk) Cuts(rng *rand.Rand, n int) iter.Seq[Cut] {
	d.mu.Lock()
	defer d.mu.Unlock()
	return cuts(d.base, d.events, rng, n)
}

// cuts goes through events once: durable is what the last flush left, and
// pending are the writes since.
func cuts(base *Image, events []event, rng *rand.Rand, n int) iter.Seq[Cut] {
	points := choose(events, rng, n)
	return func(yield func(Cut) bool) {
		durable, pending := base.clone(), []event(nil)
		mark := ""
		for i := 0; len(points) > 0; i++ {
			for ; len(points) > 0 && points[0] == i; points = points[1:] {
				c := Cut{Image: durable.clone(), Mark: mark}
				for _, e := range pending {
					c.Lost += c.Image.writeHalf(e, rng)
				}
				if !yield(c) {
					return
				}
			}
			if i == len(events) {
				return
			}
			switch e := events[i]; e.kind {
			case wrote:
				pending = append(pending, e)
			case flushed:
				for _, e := range pending {
					durable.write(e.data, e.off)
				}
				pending = nil
			case marked:
				mark = e.mark
			}
		}
	}
}

// choose picks n moments: half of them, if there are so many, just before a
// flush, the last at the end.
func choose(events []event, rng *rand.Rand, n int) []int {
	var flushes []int
	for i, e := range events {
		if e.kind == flushed {
			flushes = append(flushes, i)
		}
	}
	rng.Shuffle(len(flushes), func(i, j int) { flushes[i], flushes[j] = flushes[j], flushes[i] })
	points := slices.Clone(flushes[:min(len(flushes), n/2)])
	for len(points) < n-1 {
		points = append(points, rng.IntN(len(events)+1))
	}
	points = append(points, len(events))
	slices.Sort(points)
	return points
}

// writeHalf writes each page of e with a chance of one half, and returns how
// many it left out.
func (im *Image) writeHalf(e event, rng *rand.Rand) (lost int) {
	for off := int64(0); off < int64(len(e.data)); {
		n := min(pageSize-(e.off+off)%pageSize, int64(len(e.data))-off)
		if rng.IntN(2) == 0 {
			im.write(e.data[off:off+n], e.off+off)
		} else {
			lost++
		}
		off += n
	}
	return lost
}
