package delta

import (
	"fmt"
	"slices"
)

const (
	pageSize = 64 << 10
	maxPages = 64 // cached: 4 MiB
	maxOpen  = 16 // old blobs held open
)

// An oldSet reads the old blobs of one frame as if they stood one behind the
// other. Covers are often short and near each other, so it keeps pages.
// It is not safe for concurrent use: every frame has its own.
type oldSet struct {
	space
	ids  []int // what open takes
	open func(int) (File, error)

	files []openFile // most recently used first
	pages map[int64]*page
	clock int64
}

type openFile struct {
	blob int
	f    File
}

type page struct {
	data []byte
	used int64
}

func newOldSet(h *Head, f *Frame, open func(int) (File, error)) *oldSet {
	refs := make([]Ref, len(f.Old))
	for k, i := range f.Old {
		refs[k] = h.Blob(i)
	}
	return &oldSet{space: newSpace(refs), ids: f.Old, open: open, pages: map[int64]*page{}}
}

func (s *oldSet) close() error {
	var first error
	for _, o := range s.files {
		if err := o.f.Close(); err != nil && first == nil {
			first = fmt.Errorf("close old blob %d: %w", s.ids[o.blob], err)
		}
	}
	s.files = nil
	return first
}

// readAt fills p from position at, which the caller has checked to be inside.
func (s *oldSet) readAt(p []byte, at int64) error {
	if len(p) >= pageSize {
		return s.readThrough(p, at)
	}
	for len(p) > 0 {
		pg, err := s.page(at / pageSize)
		if err != nil {
			return err
		}
		n := copy(p, pg[at%pageSize:])
		p, at = p[n:], at+int64(n)
	}
	return nil
}

func (s *oldSet) page(k int64) ([]byte, error) {
	s.clock++
	if pg := s.pages[k]; pg != nil {
		pg.used = s.clock
		return pg.data, nil
	}
	pg := &page{used: s.clock}
	if len(s.pages) >= maxPages {
		pg.data = s.evict()
	} else {
		pg.data = make([]byte, min(pageSize, s.size()))
	}
	pg.data = pg.data[:min(pageSize, s.size()-k*pageSize)]
	if err := s.readThrough(pg.data, k*pageSize); err != nil {
		return nil, err
	}
	s.pages[k] = pg
	return pg.data, nil
}

// evict drops the page that was not used for the longest time and returns its
// memory.
func (s *oldSet) evict() []byte {
	oldest := int64(-1)
	for k, pg := range s.pages {
		if oldest < 0 || pg.used < s.pages[oldest].used {
			oldest = k
		}
	}
	data := s.pages[oldest].data
	delete(s.pages, oldest)
	return data[:cap(data)]
}

// readThrough reads from the files themselves.
func (s *oldSet) readThrough(p []byte, at int64) error {
	for len(p) > 0 {
		blob := s.at(at)
		f, err := s.file(blob)
		if err != nil {
			return err
		}
		n := min(int64(len(p)), s.starts[blob+1]-at)
		if got, err := f.ReadAt(p[:n], at-s.starts[blob]); int64(got) < n {
			return fmt.Errorf("read old blob %d: %w", s.ids[blob], noEOF(err))
		}
		p, at = p[n:], at+n
	}
	return nil
}

func (s *oldSet) file(blob int) (File, error) {
	if k := slices.IndexFunc(s.files, func(o openFile) bool { return o.blob == blob }); k >= 0 {
		o := s.files[k]
		copy(s.files[1:], s.files[:k])
		s.files[0] = o
		return o.f, nil
	}
	if len(s.files) == maxOpen {
		last := s.files[maxOpen-1]
		s.files = s.files[:maxOpen-1]
		if err := last.f.Close(); err != nil {
			return nil, fmt.Errorf("close old blob %d: %w", s.ids[last.blob], err)
		}
	}
	f, err := s.open(s.ids[blob])
	if err != nil {
		return nil, fmt.Errorf("open old blob %d: %w", s.ids[blob], err)
	}
	s.files = slices.Insert(s.files, 0, openFile{blob, f})
	return f, nil
}
