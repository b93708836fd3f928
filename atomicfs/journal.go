package atomicfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/zeebo/blake3"
)

// The journal's bytes are laid out in the package comment.
const (
	journalMagic  = "tgtree\x01\n"
	journalHeader = len(journalMagic) + 8 + 32
	maxJournal    = 512 << 20
	maxID         = 1024
)

// journal is a whole change: facts only. What is done, and in which order, is
// computed from it by plan, the same way at every start.
type journal struct {
	rollback bool
	final    bool      // a commit that leaves no snapshot
	seq      uint64    // of the snapshot that a commit makes or a rollback uses up
	time     time.Time // whole seconds
	id       string
	records  []record // in strictly rising order of path
}

// record is what a change does to one path.
type record struct {
	path string
	old  *Node  // as found; nil for nothing (or nothing to bring back)
	new  *Node  // as wanted
	kept string // where to move what is in the way, if not ""

	// Numbers of files in the folders of new content and of backups; 0 is none.
	newSlot, oldSlot uint32

	last  bool // an entry point
	moved bool // no hard links here: the backup is made by moving the old file away
}

const (
	kindCommit   = 1
	kindRollback = 2
	kindFinal    = 3
)

const (
	flagLast = 1 << iota
	flagMoved
	flagKept
	flagsKnown = flagLast | flagMoved | flagKept
)

// encode returns the journal's bytes, or an error if it is larger than parse
// would take.
func (j *journal) encode() ([]byte, error) {
	b := make([]byte, journalHeader, journalHeader+64+160*len(j.records))
	kind := byte(kindCommit)
	switch {
	case j.rollback:
		kind = kindRollback
	case j.final:
		kind = kindFinal
	}
	b = append(b, kind)
	b = binary.BigEndian.AppendUint64(b, j.seq)
	b = binary.BigEndian.AppendUint64(b, uint64(j.time.Unix()))
	b = appendString(b, j.id)
	b = binary.BigEndian.AppendUint32(b, uint32(len(j.records)))
	for i := range j.records {
		b = j.records[i].append(b)
	}
	if len(b) > maxJournal {
		return nil, fmt.Errorf("encode journal: want at most %d bytes, got %d", maxJournal, len(b))
	}
	payload := b[journalHeader:]
	sum := blake3.Sum256(payload)
	copy(b, journalMagic)
	binary.BigEndian.PutUint64(b[len(journalMagic):], uint64(len(payload)))
	copy(b[len(journalMagic)+8:], sum[:])
	return b, nil
}

func (r *record) append(b []byte) []byte {
	var flags byte
	if r.last {
		flags |= flagLast
	}
	if r.moved {
		flags |= flagMoved
	}
	if r.kept != "" {
		flags |= flagKept
	}
	b = append(b, flags)
	b = appendString(b, r.path)
	if r.kept != "" {
		b = appendString(b, r.kept)
	}
	b = r.old.append(b)
	b = r.new.append(b)
	b = binary.BigEndian.AppendUint32(b, r.oldSlot)
	return binary.BigEndian.AppendUint32(b, r.newSlot)
}

func (n *Node) append(b []byte) []byte {
	if n == nil {
		return append(b, 0)
	}
	b = append(b, byte(n.Kind))
	switch n.Kind {
	case File:
		b = binary.BigEndian.AppendUint16(b, uint16(n.Mode))
		b = binary.BigEndian.AppendUint64(b, uint64(n.Size))
		return append(b, n.Digest[:]...)
	case Dir:
		return binary.BigEndian.AppendUint16(b, uint16(n.Mode))
	}
	return appendString(b, n.Link)
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// readJournal reads and parses a journal of at most maxJournal bytes.
func readJournal(r io.Reader) (*journal, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxJournal+1))
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	j, err := parseJournal(b)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w: %w", ErrDamagedJournal, err)
	}
	return j, nil
}

// parseJournal accepts exactly what encode writes.
func parseJournal(b []byte) (*journal, error) {
	if len(b) < journalHeader || string(b[:len(journalMagic)]) != journalMagic {
		return nil, errors.New("no journal, or of another version")
	}
	payload := b[journalHeader:]
	if n := binary.BigEndian.Uint64(b[len(journalMagic):]); n != uint64(len(payload)) || len(b) > maxJournal {
		return nil, fmt.Errorf("want a payload of %d bytes (at most %d), got %d", n, maxJournal, len(payload))
	}
	sum := blake3.Sum256(payload)
	if want := b[len(journalMagic)+8 : journalHeader]; !bytes.Equal(sum[:], want) {
		return nil, fmt.Errorf("want digest %x, got %x", want, sum)
	}
	p := &parser{b: payload}
	j := p.journal()
	if p.err == nil && len(p.b) > 0 {
		p.fail("%d bytes follow the last record", len(p.b))
	}
	if p.err != nil {
		return nil, p.err
	}
	return j, nil
}

// parser reads big-endian fields off b. Its first error sticks, and every
// read after it yields zeros.
type parser struct {
	b   []byte
	err error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	p.b = nil
}

func (p *parser) take(n int) []byte {
	if n > len(p.b) {
		p.fail("want %d more bytes, got %d", n, len(p.b))
		return make([]byte, min(n, 64)) // no fixed field is longer
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *parser) u8() byte    { return p.take(1)[0] }
func (p *parser) u16() uint16 { return binary.BigEndian.Uint16(p.take(2)) }
func (p *parser) u32() uint32 { return binary.BigEndian.Uint32(p.take(4)) }
func (p *parser) u64() uint64 { return binary.BigEndian.Uint64(p.take(8)) }

func (p *parser) string() string {
	n := int(p.u16())
	if n > len(p.b) {
		p.fail("want %d more bytes, got %d", n, len(p.b))
		return ""
	}
	return string(p.take(n))
}

func (p *parser) journal() *journal {
	j := &journal{}
	switch kind := p.u8(); kind {
	case kindCommit:
	case kindRollback:
		j.rollback = true
	case kindFinal:
		j.final = true
	default:
		p.fail("want kind 1 to 3, got %d", kind)
	}
	j.seq = p.u64()
	j.time = time.Unix(int64(p.u64()), 0)
	if j.id = p.string(); len(j.id) > maxID {
		p.fail("want an id of at most %d bytes, got %d", maxID, len(j.id))
	}
	n := p.u32()
	const least = 1 + 2 + 1 + 1 + 1 + 4 + 4 // bytes of the shortest record
	if uint64(n) > maxRecords*2 || uint64(n)*least > uint64(len(p.b)) {
		p.fail("%d records do not fit in %d bytes", n, len(p.b))
	}
	if p.err != nil {
		return nil
	}
	j.records = make([]record, n)
	oldSlots, newSlots := map[uint32]bool{0: false}, map[uint32]bool{0: false}
	for i := range j.records {
		r := &j.records[i]
		p.record(r)
		if i > 0 && r.path <= j.records[i-1].path {
			p.fail("record %d: path %q does not rise", i, r.path)
		}
		if oldSlots[r.oldSlot] || newSlots[r.newSlot] {
			p.fail("record %d: slot used twice", i)
		}
		oldSlots[r.oldSlot], newSlots[r.newSlot] = r.oldSlot != 0, r.newSlot != 0
		if p.err != nil {
			return nil
		}
	}
	return j
}

func (p *parser) record(r *record) {
	flags := p.u8()
	if flags&^flagsKnown != 0 {
		p.fail("unknown flags %#x", flags)
	}
	r.last, r.moved = flags&flagLast != 0, flags&flagMoved != 0
	r.path = p.path()
	if flags&flagKept != 0 {
		r.kept = p.path()
	}
	r.old, r.new = p.node(), p.node()
	r.oldSlot, r.newSlot = p.u32(), p.u32()
	if p.err != nil {
		return
	}
	if err := r.check(); err != nil {
		p.fail("record %q: %w", r.path, err)
	}
}

func (p *parser) path() string {
	s := p.string()
	if p.err == nil {
		p.err = checkPath(s)
	}
	return s
}

func (p *parser) node() *Node {
	n := &Node{Kind: Kind(p.u8())}
	switch n.Kind {
	case 0:
		return nil
	case File:
		n.Mode, n.Size = fs.FileMode(p.u16()), int64(p.u64())
		copy(n.Digest[:], p.take(len(n.Digest)))
	case Dir:
		n.Mode = fs.FileMode(p.u16())
	default:
		n.Link = p.string()
	}
	if err := checkNode(n); err != nil {
		p.fail("%w", err)
	}
	return n
}

// check refuses records that plan would not know what to do with.
func (r *record) check() error {
	switch backup := r.old.is(File) || r.old.is(Symlink); {
	case r.oldSlot != 0 && !backup:
		return fmt.Errorf("a backup of %v", r.old)
	case r.newSlot != 0 && r.new == nil:
		return errors.New("new content of nothing")
	case r.newSlot == 0 && r.new.is(Symlink), r.newSlot == 0 && r.new.is(Dir) && !r.old.is(Dir):
		return fmt.Errorf("no new content for %v", r.new)
	case r.newSlot == 0 && r.new.is(File) && !r.old.same(r.new):
		return fmt.Errorf("no new content for %v", r.new)
	case r.moved && (r.oldSlot == 0 || r.kept != ""):
		return errors.New("moved without a backup")
	case r.oldSlot == 0 && backup && !r.chmod():
		return fmt.Errorf("no backup of %v", r.old)
	case r.kept != "" && (isMeta(r.path) || isMeta(r.kept)):
		return errors.New("kept beside in the state folder")
	}
	return nil
}

// chmod reports whether r changes nothing but a file's mode.
func (r *record) chmod() bool { return r.new.is(File) && r.newSlot == 0 }
