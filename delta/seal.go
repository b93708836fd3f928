package delta

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/treegraft-dev/treegraft/internal/macho"
)

// Some files hold digests of their own pages: signed programs for macOS. Who
// applies a delta can compute them from the bytes that it has made. So the
// sections of a native frame make the difference to the digests that are
// expected, which is zero where these are right. Where they are not, a wrong
// guess costs bytes, never correctness.
//
// What a frame says of them is bounded, so that they cost little more than a
// hash over what it makes, and less memory than its sections need.
const (
	maxSeals      = 1 << 5
	maxSealTimes  = 2       // a byte is hashed so often, on average
	maxSealMemory = 8 << 20 // for digests of a frame: of 1 GiB in pages of 4 KiB
)

func appendSeals(b []byte, list []macho.Seal) []byte {
	for _, s := range list {
		b = append(b, byte(s.Hash), byte(s.Page))
		b = binary.AppendUvarint(b, uint64(s.Start))
		b = binary.AppendUvarint(b, uint64(s.Size))
		b = binary.AppendUvarint(b, uint64(s.At-s.Start-s.Size))
	}
	return b
}

// seals reads all that is left: seals of a frame that makes size bytes.
func (r *wireReader) seals(size int64) (list []macho.Seal) {
	for len(r.b) > 0 {
		s := macho.Seal{Hash: macho.Hash(r.bytes("hash", 1)[0]), Page: uint(r.bytes("page", 1)[0])}
		s.Start = r.uint("sealed bytes", size)
		s.Size = r.uint("size of sealed bytes", size-s.Start)
		s.At = s.Start + s.Size + r.uint("digests", size-s.Start-s.Size)
		list = append(list, s)
		if r.err == nil && !sealsFit(list, size) {
			r.fail("seals: want at most %d, in order and inside %d bytes, got %+v", maxSeals, size, s)
		}
	}
	return list
}

// sealsFit reports whether the seals of a frame that makes size bytes are in
// order and apart, and not too much work.
func sealsFit(list []macho.Seal, size int64) bool {
	end, memory, hashed := int64(0), int64(0), uint64(0)
	for _, s := range list {
		if !s.Valid() || s.At < end || s.End() > size {
			return false
		}
		end = s.End()
		memory += end - s.At
		hashed += uint64(s.Size)
		if memory > maxSealMemory || hashed > maxSealTimes*uint64(size) {
			return false
		}
	}
	return len(list) <= maxSeals
}

// A sealer goes over all bytes that a frame makes, in order, and exchanges
// digests for what they differ from the expected ones.
type sealer struct {
	seals []openSeal
	at    int64
}

type openSeal struct {
	macho.Seal
	pages *macho.Pages
}

func newSealer(list []macho.Seal) *sealer {
	s := &sealer{}
	for _, x := range list {
		s.seals = append(s.seals, openSeal{x, macho.NewPages(x)})
	}
	return s
}

// hide takes the next new bytes, and replaces digests by differences.
func (s *sealer) hide(p []byte) {
	s.pieces(p, func(p, sums []byte) {
		s.see(p)
		for i := range sums {
			p[i] -= sums[i]
		}
	})
}

// show undoes hide.
func (s *sealer) show(p []byte) {
	s.pieces(p, func(p, sums []byte) {
		for i := range sums {
			p[i] += sums[i]
		}
		s.see(p)
	})
}

// pieces cuts bytes where digests begin and end. Expected digests are there
// before their place, since what they seal is.
func (s *sealer) pieces(p []byte, do func(p, sums []byte)) {
	for k := 0; len(p) > 0; {
		for k < len(s.seals) && s.seals[k].End() <= s.at {
			k++
		}
		n, sums := int64(len(p)), []byte(nil)
		if k < len(s.seals) {
			if x := &s.seals[k]; s.at < x.At {
				n = min(n, x.At-s.at)
			} else {
				n = min(n, x.End()-s.at)
				sums = x.pages.Sums()[s.at-x.At:][:n]
			}
		}
		do(p[:n], sums)
		p, s.at = p[n:], s.at+n
	}
}

// see hashes new bytes, as far as they are sealed.
func (s *sealer) see(p []byte) {
	for k := range s.seals {
		x := &s.seals[k]
		from, to := max(s.at, x.Start), min(s.at+int64(len(p)), x.Start+x.Size)
		if from < to {
			x.pages.Write(p[from-s.at : to-s.at])
		}
	}
}

// minSealed is the size of the smallest file that is looked at for seals.
const minSealed = 16 << 10

// seals returns those seals of new blobs whose digests are mostly right.
func (p *packer) seals(j *job) (list []macho.Seal, err error) {
	if p.o.without&pageDigests != 0 {
		return nil, nil
	}
	at := int64(0)
	for i := range j.blobs {
		b := &j.blobs[i]
		if b.Size >= minSealed {
			found, err := sealsOf(b)
			if err != nil {
				return nil, err
			}
			for _, s := range found {
				s.Start, s.At = s.Start+at, s.At+at
				if sealsFit(append(list, s), j.size) {
					list = append(list, s)
				}
			}
		}
		at += b.Size
	}
	return list, nil
}

func sealsOf(b *Blob) ([]macho.Seal, error) {
	f, err := b.Open()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", b.Name, err)
	}
	defer f.Close()
	list := macho.Seals(f, b.Size)
	return slices.DeleteFunc(list, func(s macho.Seal) bool { return !mostlyRight(f, &s) }), nil
}

// mostlyRight looks at a few pages: programs that were changed after they were
// signed have other digests.
func mostlyRight(f File, s *macho.Seal) bool {
	const looks = 64
	n := s.Count()
	page, sum := make([]byte, 1<<s.Page), make([]byte, s.Hash.Size())
	one := *s
	looked, right := 0, 0
	for k := int64(0); k < n; k += n/looks + 1 {
		at := k << s.Page
		b := page[:min(int64(len(page)), s.Size-at)]
		if n, _ := f.ReadAt(b, s.Start+at); n < len(b) {
			return false
		}
		if n, _ := f.ReadAt(sum, s.At+k*int64(len(sum))); n < len(sum) {
			return false
		}
		one.Size = int64(len(b))
		pages := macho.NewPages(one)
		pages.Write(b)
		looked++
		if bytes.Equal(pages.Sums(), sum) {
			right++
		}
	}
	return right > looked/2
}
