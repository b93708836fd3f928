package delta

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// A shared frame takes blobs of at most smallBlob bytes, up to sharedFrame in
// all. Like stands beside like in it: what one of them adds, the next may
// repeat, and it costs little twice.
const (
	smallBlob   = 1 << 20
	sharedFrame = 8 << 20
)

// job is one frame to make.
type job struct {
	blobs     []Blob
	size      int64
	container bool // one blob that may have an unpacked form
	reach     int  // end of the old content that it may read; 0 is all
}

// planJobs divides the new blobs among frames: first those that want to be
// alone, then big ones, then small ones in groups. Of equal blobs, the first
// is taken.
func planJobs(new []Blob, c Codec) (jobs []job) {
	seen := map[Ref]bool{}
	var small []Blob
	var big []job
	for _, b := range new {
		one := job{blobs: []Blob{b}, size: b.Size}
		switch {
		case seen[b.Ref] && !b.Alone:
			continue
		case b.Alone:
			jobs = append(jobs, one)
		case c == Native && inContainer(&b):
			one.container = true
			big = append(big, one)
		case b.Size > smallBlob || c == BSDIFF40:
			big = append(big, one)
		default:
			small = append(small, b)
		}
		seen[b.Ref] = true
	}
	// The largest first: it has most of what others may share with it, and the
	// last one to be patched should be a short one.
	slices.SortStableFunc(big, func(a, b job) int { return cmp.Compare(b.size, a.size) })
	return append(append(jobs, big...), groupSmall(small)...)
}

func groupSmall(blobs []Blob) (jobs []job) {
	slices.SortStableFunc(blobs, func(a, b Blob) int {
		return cmp.Or(cmp.Compare(path.Ext(a.Name), path.Ext(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	for _, b := range blobs {
		if k := len(jobs) - 1; k >= 0 && jobs[k].size+b.Size <= sharedFrame {
			jobs[k].blobs = append(jobs[k].blobs, b)
			jobs[k].size += b.Size
		} else {
			jobs = append(jobs, job{blobs: []Blob{b}, size: b.Size})
		}
	}
	return jobs
}

// pairing finds for a new blob the old one that it probably comes from.
type pairing struct {
	byName, byBase, byStem map[string][]int
	old                    []Blob
}

func newPairing(old []Blob) *pairing {
	p := &pairing{map[string][]int{}, map[string][]int{}, map[string][]int{}, old}
	for i, b := range old {
		base := path.Base(b.Name)
		p.byName[b.Name] = append(p.byName[b.Name], i)
		p.byBase[base] = append(p.byBase[base], i)
		p.byStem[stem(base)] = append(p.byStem[stem(base)], i)
	}
	return p
}

// find returns the index of an old blob of the same path, else of the same
// file name, else of the same name but for digits, as in versions and hashes.
// Among several it takes the one closest in size.
func (p *pairing) find(b *Blob) (int, bool) {
	if b.Name == "" {
		return 0, len(p.old) == 1
	}
	base := path.Base(b.Name)
	for _, list := range [][]int{p.byName[b.Name], p.byBase[base], p.byStem[stem(base)]} {
		if len(list) == 0 {
			continue
		}
		return slices.MinFunc(list, func(i, j int) int {
			return cmp.Compare(distance(p.old[i].Size, b.Size), distance(p.old[j].Size, b.Size))
		}), true
	}
	return 0, len(p.old) == 1
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

// stem returns a file name without its parts that hold digits: names of built
// files carry versions and digests between dots and dashes.
func stem(base string) string {
	parts := strings.FieldsFunc(base, func(r rune) bool { return r == '.' || r == '-' || r == '_' || r == '@' })
	parts = slices.DeleteFunc(parts, func(s string) bool { return strings.ContainsAny(s, "0123456789") })
	return strings.Join(parts, ".")
}
