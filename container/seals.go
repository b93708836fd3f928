package container

import (
	"bytes"
	"cmp"
	"io"
	"slices"

	"github.com/treegraft-dev/treegraft/internal/macho"
)

// A signed program holds digests of its own pages. These are pages of the file,
// not of its form, so who reads the form could not compute them. The form leaves
// out digests that are right: it says where begins what they are of, and where
// they stand. Wrong ones stay as they are.

// A sealMark is the place where a seal begins, or that of its digests.
type sealMark struct {
	at      int64
	seal    macho.Seal
	digests bool
}

// sealMarks returns the marks of seals whose digests are right, in the order of
// the file. No mark is inside of sections, or of the digests of others.
func (u *unpacker) sealMarks(sections []packedSection) (list []sealMark) {
	var kept []macho.Seal
	start, hashed := int64(0), int64(0)
	for _, s := range macho.Seals(source{u}, u.size) {
		open := 0
		clear := s.Start >= start && s.End()-s.At <= maxDigests
		for _, x := range kept {
			if x.End() > s.Start {
				open++
			}
			clear = clear && (s.Start < x.At || s.Start >= x.End())
		}
		for _, x := range sections {
			clear = clear && (s.Start <= x.at || s.Start >= x.end) && (s.End() <= x.at || s.At >= x.end)
		}
		if hashed += s.Size; hashed > maxSeals*u.size {
			break // much to hash, and little of it can be right
		}
		if clear && open < maxSeals && u.sealed(&s) {
			kept, start = append(kept, s), s.Start
			list = append(list, sealMark{s.Start, s, false}, sealMark{s.At, s, true})
		}
	}
	slices.SortStableFunc(list, func(a, b sealMark) int { return cmp.Compare(a.at, b.at) })
	return list
}

// sealed reports whether the digests of a seal are right.
func (u *unpacker) sealed(s *macho.Seal) bool {
	pages := macho.NewPages(*s)
	for r, buf := io.NewSectionReader(u.src, s.Start, s.Size), make([]byte, 64<<10); u.err == nil; {
		n, err := r.Read(buf)
		pages.Write(buf[:n])
		if err == io.EOF {
			break
		}
		if u.err = err; err == nil {
			u.err = u.ctx.Err()
		}
	}
	return bytes.Equal(u.read(s.At, int(s.End()-s.At)), pages.Sums())
}

// mark writes the marks up to a place, and returns those that are left.
func (u *unpacker) mark(list []sealMark, to int64) []sealMark {
	for ; len(list) > 0 && list[0].at <= to; list = list[1:] {
		m := &list[0]
		u.plain(m.at)
		if m.digests {
			u.write([]byte{recordDigests})
			u.at = m.seal.End()
		} else {
			u.write([]byte{recordSeal, byte(m.seal.Hash), byte(m.seal.Page)})
			u.number(m.seal.Size)
		}
	}
	return list
}

// seal reads what is sealed from here on.
func (p *repacker) seal() error {
	var head [2]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return err
	}
	n, err := p.number(1 << 62)
	if err != nil {
		return err
	}
	s := macho.Seal{Hash: macho.Hash(head[0]), Page: uint(head[1]), Size: n}
	switch {
	case !s.Valid():
		return badForm("unknown seal: hash %d, pages of 1 << %d bytes, %d bytes", s.Hash, s.Page, s.Size)
	case s.End() > maxDigests:
		return badForm("too many digests: want at most %d bytes, got %d", maxDigests, s.End())
	case len(p.out.seals) == maxSeals:
		return badForm("too many seals at a time")
	}
	p.out.seals = append(p.out.seals, openSeal{s, macho.NewPages(s)})
	return nil
}

// digests writes those of the first seal that is open, and ends it.
func (p *repacker) digests() error {
	if len(p.out.seals) == 0 {
		return badForm("digests without a seal")
	}
	s := p.out.seals[0]
	if n := int64(len(s.pages.Sums())); n != s.End() {
		return badForm("digests before their pages: want %d bytes, got %d", s.End(), n)
	}
	p.out.seals = p.out.seals[1:]
	_, err := p.out.Write(s.pages.Sums())
	return err
}

// An openSeal hashes what is written.
type openSeal struct {
	macho.Seal // as if its digests stood at 0
	pages      *macho.Pages
}
