package container

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"hash/crc32"
)

const magic = "tgunpk1\n"

// Kinds of records.
const (
	recordEnd     = iota
	recordPlain   // bytes as they are
	recordStream  // a deflate stream
	recordCheck   // checksum and sizes behind a stream
	recordLocal   // the header in front of a zip member
	recordCentral // an entry of a zip directory
	recordTail    // the end of a zip directory
	recordChunks  // from here on, output is cut into IDAT chunks
	recordWhole   // the last IDAT chunk is full
	recordSection // a deflate stream, its content in one piece
	recordSeal    // from here on, pages are hashed
	recordDigests // of the pages of a seal
)

// Kinds of what stands behind a stream.
const (
	checkGzip       = iota // CRC-32 and size, RFC 1952 §2.3.1
	checkZlib              // Adler-32, RFC 1950 §2.2
	checkZip               // zip data descriptor with signature
	checkZipNoMagic        // and without
	checks
)

// Limits of the form, for writer and reader.
const (
	segmentContent = 1 << 20                          // a segment ends with the block that reaches this
	maxSegment     = segmentContent + maxBlockContent // content of a segment
	maxSide        = 8 << 20                          // what is said of a segment's blocks
	maxHeader      = 46 + 3*65535                     // a header in a zip file
	maxEntries     = 1 << 18                          // members of a zip file
	maxChunks      = 1 << 16                          // runs of IDAT chunks of one size
	maxSeals       = 2                                // at a time: of a signature with old digests and new ones
	maxDigests     = 4 << 20                          // bytes of digests of a seal: of 512 MiB in pages of 4 KiB
	localHeader    = 30
	centralHeader  = 46
	tailHeader     = 22
	chunkOverhead  = 12
	flagFinal      = 1
	flagKind       = 1 // shift
	flagHeader     = 3 // shift
	flagRest       = 1 << 5
	flagUnused     = 3 << 6
	flagAnew       = 1 << 7 // of the matcher
)

// FormatError says that unpacked bytes are not what the form allows.
type FormatError struct {
	Why string
}

func (e *FormatError) Error() string { return "repack: " + e.Why }

func badForm(why string, args ...any) error { return &FormatError{fmt.Sprintf(why, args...)} }

// ErrPlain says that a file is better left as it is: it is no container of a
// known kind, has nothing to unpack, or could not be repacked exactly.
var ErrPlain = errors.New("not a container that can be unpacked")

// checksums are what is computed of a stream's content.
type checksums struct {
	crc   uint32
	adler uint32
	zlib  bool // compute adler instead of crc
	size  int64
	coded int64
}

func (c *checksums) add(content []byte) {
	c.size += int64(len(content))
	if c.zlib {
		c.adler = adlerUpdate(c.adler, content)
	} else {
		c.crc = crc32.Update(c.crc, crc32.IEEETable, content)
	}
}

// adlerUpdate combines an Adler-32 with that of more bytes.
func adlerUpdate(adler uint32, more []byte) uint32 {
	const mod = 65521
	n := uint32(len(more) % mod)
	second := adler32.Checksum(more)
	a1, b1 := adler&0xffff, adler>>16
	a2, b2 := second&0xffff, second>>16
	a := (a1 + a2 + mod - 1) % mod
	b := (uint64(b1) + uint64(b2) + uint64(n)*uint64(a1+mod-1)) % mod
	return uint32(b)<<16 | a
}

// trailer returns what stands behind a stream.
func (c *checksums) trailer(kind int) []byte {
	le := binary.LittleEndian
	switch kind {
	case checkGzip:
		return le.AppendUint32(le.AppendUint32(nil, c.crc), uint32(c.size))
	case checkZlib:
		return binary.BigEndian.AppendUint32(nil, c.adler)
	}
	var b []byte
	if kind == checkZip {
		b = append(b, "PK\x07\x08"...)
	}
	b = le.AppendUint32(b, c.crc)
	b = le.AppendUint32(b, uint32(c.coded))
	return le.AppendUint32(b, uint32(c.size))
}

// ledger remembers the members of a zip file, and so knows what its directory
// says of them. Packing and unpacking keep the same one.
type ledger struct {
	members []member
	next    int   // the member the next directory entry is about
	start   int64 // of the directory; -1: not seen yet
}

// member is what a directory says of one: CRC-32, size in the file, size of
// the content, position.
type member [4]uint32

func newLedger() *ledger { return &ledger{start: -1} }

// local notes the header of a member.
func (l *ledger) local(at int64, header []byte) {
	le := binary.LittleEndian
	l.members = append(l.members, member{le.Uint32(header[14:]), le.Uint32(header[18:]), le.Uint32(header[22:]), uint32(at)})
}

// stream notes what the stream of the last member turned out to be.
func (l *ledger) stream(c *checksums) {
	if len(l.members) > 0 {
		m := &l.members[len(l.members)-1]
		m[0], m[1], m[2] = c.crc, uint32(c.coded), uint32(c.size)
	}
}

// central adds sign times what is known of a member to a directory entry at a
// position. The entry is about the member that is jump behind the next.
func (l *ledger) central(at int64, header []byte, jump int64, sign uint32) bool {
	i := int64(l.next) + jump
	if i < 0 || i >= int64(len(l.members)) {
		return false
	}
	if l.start < 0 {
		l.start = at
	}
	l.next = int(i) + 1
	for k, field := range []int{16, 20, 24, 42} {
		addUint32(header[field:], sign*l.members[i][k])
	}
	return true
}

// tail does the same to the end of the directory.
func (l *ledger) tail(at int64, header []byte, sign uint32) bool {
	if l.start < 0 {
		return false
	}
	addUint32(header[12:], sign*uint32(at-l.start))
	addUint32(header[16:], sign*uint32(l.start))
	return true
}

func addUint32(b []byte, n uint32) {
	binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)+n)
}
