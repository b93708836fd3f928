package container

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

const gzipMagic = "\x1f\x8b\x08"

// gzip unpacks the members of a gzip file, RFC 1952.
func (u *unpacker) gzip() error {
	for u.err == nil {
		n := gzipHeader(u.read(u.at, 64<<10))
		if n == 0 || !u.stream(u.at+int64(n), u.size, false) {
			break
		}
		u.check(checkGzip)
	}
	return nil
}

// gzipHeader returns the size of the header b starts with, or zero.
func gzipHeader(b []byte) int {
	const crc, extra, name, comment = 2, 4, 8, 16
	if len(b) < 10 || string(b[:3]) != gzipMagic {
		return 0
	}
	flags, n := b[3], 10
	if flags&extra != 0 {
		if len(b) < n+2 {
			return 0
		}
		n += 2 + int(binary.LittleEndian.Uint16(b[n:]))
	}
	for _, text := range []byte{name, comment} {
		if flags&text != 0 && n < len(b) {
			end := bytes.IndexByte(b[n:], 0)
			if end < 0 {
				return 0
			}
			n += end + 1
		}
	}
	if flags&crc != 0 {
		n += 2
	}
	if n >= len(b) {
		return 0
	}
	return n
}

// maxDirectory is the largest zip directory that is read.
const maxDirectory = 64 << 20

// entry is one of a zip directory.
type entry struct {
	at, size int    // of the entry in the directory
	member   int    // number of the member in the ledger; -1 if it has none
	header   int64  // position of the local header
	packed   int64  // size of the member
	flags    uint16 // bit 0: encrypted, bit 3: sizes stand behind it
	deflated bool
}

// zip unpacks the members of a zip file (APPNOTE.TXT 4.3). What is found by
// 64-bit sizes only stays as it is.
func (u *unpacker) zip() error {
	tail := u.read(max(0, u.size-tailHeader-65535), tailHeader+65535)
	i := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if i < 0 || len(tail)-i < tailHeader {
		return nil
	}
	end := u.size - int64(len(tail)-i)
	size := int64(binary.LittleEndian.Uint32(tail[i+12:]))
	start := end - size
	if size > maxDirectory || start < 0 {
		return nil
	}
	directory := u.read(start, int(size))
	entries := zipEntries(directory, start-int64(binary.LittleEndian.Uint32(tail[i+16:])))
	order := make([]*entry, len(entries))
	for k := range entries {
		order[k] = &entries[k]
	}
	slices.SortStableFunc(order, func(a, b *entry) int { return cmp.Compare(a.header, b.header) })
	for _, e := range order {
		u.member(e, start)
	}
	for _, e := range entries {
		u.central(e, start+int64(e.at), directory[e.at:e.at+e.size])
	}
	u.tail(end)
	return nil
}

// zipEntries reads a directory, as far as it is one. Positions in it are
// counted from base.
func zipEntries(directory []byte, base int64) (entries []entry) {
	le := binary.LittleEndian
	for at := 0; len(directory)-at >= centralHeader && len(entries) < maxEntries; {
		b := directory[at:]
		size := centralHeader + int(le.Uint16(b[28:])) + int(le.Uint16(b[30:])) + int(le.Uint16(b[32:]))
		if string(b[:4]) != "PK\x01\x02" || size > len(b) {
			break
		}
		entries = append(entries, entry{at: at, size: size, member: -1, flags: le.Uint16(b[8:]), deflated: le.Uint16(b[10:]) == 8,
			packed: int64(le.Uint32(b[20:])), header: base + int64(le.Uint32(b[42:]))})
		at += size
	}
	return entries
}

// member unpacks a member that ends before a position.
func (u *unpacker) member(e *entry, before int64) {
	if e.header < u.at || e.header > before-localHeader {
		return
	}
	b := u.read(e.header, localHeader)
	if u.err != nil || string(b[:4]) != "PK\x03\x04" {
		return
	}
	n := localHeader + int(binary.LittleEndian.Uint16(b[26:])) + int(binary.LittleEndian.Uint16(b[28:]))
	content := e.header + int64(n)
	if content+e.packed > before {
		return
	}
	u.plain(e.header)
	b = u.read(u.at, n)
	u.write([]byte{recordLocal})
	u.number(int64(n))
	u.write(b)
	e.member = len(u.ledger.members)
	u.ledger.local(u.at, b)
	u.at = content
	if !e.deflated || e.flags&1 != 0 || e.packed == 0 || !u.stream(content, content+e.packed, false) {
		return
	}
	if e.flags&8 != 0 && !u.check(checkZip) {
		u.check(checkZipNoMagic)
	}
}

// central writes a directory entry.
func (u *unpacker) central(e entry, at int64, header []byte) {
	if e.member < 0 || at < u.at {
		return
	}
	u.plain(at)
	jump := int64(e.member - u.ledger.next)
	u.ledger.central(at, header, jump, ^uint32(0))
	u.write([]byte{recordCentral})
	u.number(jump<<1 ^ jump>>63)
	u.number(int64(len(header)))
	u.write(header)
	u.at = at + int64(len(header))
}

// tail writes the end of the directory.
func (u *unpacker) tail(at int64) {
	if u.ledger.start < 0 || at < u.at {
		return
	}
	u.plain(at)
	header := u.read(at, tailHeader)
	u.ledger.tail(at, header, ^uint32(0))
	u.write([]byte{recordTail})
	u.number(tailHeader)
	u.write(header)
	u.at = at + tailHeader
}
