package delta

import (
	"context"
	"fmt"
)

// Programs that are built together share code: what is new in one is new in
// the next. So where old content explains too little, large new blobs serve as
// old content for later frames. Whoever patches makes the frames in order.
const (
	shareSamples = 16
	shareSample  = 16 << 10
	shareLeft    = 10 // percent of samples without cover that make it worthwhile
)

// share appends large new blobs to the old ones in the arena, if much in them
// is new.
func (p *packer) share(ctx context.Context) error {
	var blobs []Blob
	var jobs []int
	size := p.space.size()
	for i, j := range p.jobs {
		if len(j.blobs) == 1 && j.size > smallBlob && !j.blobs[0].Alone && !j.container && size+j.size <= p.o.Memory/oldShare && size+j.size <= maxArena {
			blobs, jobs = append(blobs, j.blobs[0]), append(jobs, i)
			size += j.size
		}
	}
	if len(blobs) < 2 || p.o.without&sharing != 0 {
		return nil
	}
	if much, err := p.muchNew(blobs); err != nil || !much {
		return err
	}
	old := p.space.size()
	for _, b := range blobs {
		p.space.starts = append(p.space.starts, p.space.size()+b.Size)
	}
	a, err := loadAll(ctx, append(p.old[:len(p.old):len(p.old)], blobs...), p.space, p.o.Workers)
	if err != nil {
		return err
	}
	p.arena, p.shared = a, jobs
	for i := range jobs[0] {
		p.jobs[i].reach = int(old)
	}
	at := old
	for k, i := range jobs { // what lies between reads all that came before
		for n := i; n < len(p.jobs) && (k+1 == len(jobs) || n < jobs[k+1]); n++ {
			p.jobs[n].reach = int(at)
			if n > i {
				p.jobs[n].reach = int(at + blobs[k].Size)
			}
		}
		at += blobs[k].Size
	}
	return nil
}

// muchNew scans samples of blobs, and reports whether covers leave much out.
func (p *packer) muchNew(blobs []Blob) (bool, error) {
	all, left := 0, 0
	buf := make([]byte, shareSample)
	for _, b := range blobs {
		f, err := b.Open()
		if err != nil {
			return false, fmt.Errorf("open %s: %w", b.Name, err)
		}
		for i := range int64(shareSamples) {
			if _, err := f.ReadAt(buf, (b.Size-shareSample)*i/(shareSamples-1)); err != nil {
				f.Close()
				return false, fmt.Errorf("read %s: %w", b.Name, noEOF(err))
			}
			all, left = all+shareSample, left+shareSample
			for _, c := range p.arena.scan(buf, 0, shareSample, nil) {
				left -= c.n
			}
		}
		if err := f.Close(); err != nil {
			return false, fmt.Errorf("close %s: %w", b.Name, err)
		}
	}
	return left*100 > all*shareLeft, nil
}

// numbers turns places in the packer's space into numbers of blobs for a head.
func (p *packer) numbers(list []int) []int {
	for k, i := range list {
		if i -= len(p.old); i >= 0 {
			list[k] = len(p.old)
			for _, j := range p.jobs[:p.shared[i]] {
				list[k] += len(j.blobs)
			}
		}
	}
	return list
}
