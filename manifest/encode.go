package manifest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
)

const magic = "treegraft manifest 1\n"

// Encode validates m and writes its canonical encoding.
func (m *Manifest) Encode(w io.Writer) error {
	if err := m.Validate(); err != nil {
		return err
	}
	facts, err := m.Release.encode()
	if err != nil {
		return err
	}
	bw := bufio.NewWriterSize(w, 1<<16)
	bw.WriteString(magic)
	bw.Write(binary.AppendUvarint(nil, uint64(len(facts))))
	bw.Write(facts)
	tree := encodeEntries(bw, m.Entries)
	bw.Write(tree[:])
	return bw.Flush()
}

// Canonical returns the canonical encoding of m.
func (m *Manifest) Canonical() ([]byte, error) {
	var b bytes.Buffer
	err := m.Encode(&b)
	return b.Bytes(), err
}

// TreeDigest returns the digest of valid entries: two lists have the same one
// exactly if they have the same paths, kinds, modes, contents, links and
// config rules.
func TreeDigest(entries []Entry) Digest { return encodeEntries(io.Discard, entries) }

func (r *Release) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("encode release facts: %w", err)
	}
	facts := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(facts) > MaxFacts {
		return nil, fmt.Errorf("encode release facts: %d bytes, at most %d", len(facts), MaxFacts)
	}
	return facts, nil
}

// encodeEntries writes the entries section and returns the tree digest. Errors
// of w are left to the caller's bufio.Writer to report.
func encodeEntries(w io.Writer, entries []Entry) Digest {
	h := NewHash()
	buf := binary.AppendUvarint(nil, uint64(len(entries)))
	last := ""
	for i := range entries {
		buf = appendEntry(buf, last, &entries[i])
		last = entries[i].Path
		if len(buf) >= 1<<15 || i == len(entries)-1 {
			h.Write(buf)
			w.Write(buf)
			buf = buf[:0]
		}
	}
	h.Write(buf)
	w.Write(buf)
	return SumOf(h)
}

func appendEntry(b []byte, last string, e *Entry) []byte {
	shared := 0
	for shared < len(last) && shared < len(e.Path) && last[shared] == e.Path[shared] {
		shared++
	}
	b = append(b, byte(e.Kind)|byte(e.Config)<<4)
	b = binary.AppendUvarint(b, uint64(shared))
	b = appendString(b, e.Path[shared:])
	switch e.Kind {
	case File:
		b = binary.AppendUvarint(b, uint64(e.Mode))
		b = binary.AppendUvarint(b, uint64(e.Size))
		b = append(b, e.Digest[:]...)
	case Dir:
		b = binary.AppendUvarint(b, uint64(e.Mode))
	case Symlink:
		b = appendString(b, e.Link)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Parse reads one canonical encoding to the end of r, and validates it.
func Parse(r io.Reader) (*Manifest, error) {
	d := decoder{r: bufio.NewReaderSize(io.LimitReader(r, MaxCanonical+1), 1<<16)}
	m := d.manifest()
	if d.err != nil {
		return nil, fmt.Errorf("parse manifest: %w", d.err)
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m, nil
}

// decoder reads the canonical encoding. Its first error sticks.
type decoder struct {
	r    *bufio.Reader
	h    hash.Hash // of the entries section, while in it
	n    int64     // bytes read
	text int       // bytes of paths and links
	err  error
	buf  []byte
}

func (d *decoder) manifest() *Manifest {
	m := &Manifest{}
	if got := d.bytes(len(magic)); d.err == nil && string(got) != magic {
		d.fail("not a manifest: begins with %q", got)
	}
	d.release(&m.Release)
	d.h = NewHash()
	count := d.uvarint(MaxEntries)
	last := ""
	for i := uint64(0); i < count && d.err == nil; i++ {
		e := d.entry(last)
		if d.text += len(e.Path) + len(e.Link); d.text > MaxText {
			d.fail("paths and links longer than %d bytes", MaxText)
		}
		m.Entries = append(m.Entries, e)
		last = e.Path
	}
	tree := SumOf(d.h)
	d.h = nil
	if got := d.bytes(len(tree)); d.err == nil && Digest(got) != tree {
		d.fail("tree digest: want %v, got %x", tree, got)
	}
	if d.err == nil {
		if _, err := d.r.ReadByte(); err != io.EOF {
			d.fail("more bytes after the end")
		}
	}
	return m
}

func (d *decoder) release(r *Release) {
	facts := bytes.Clone(d.bytes(int(d.uvarint(MaxFacts))))
	if d.err != nil {
		return
	}
	if err := json.Unmarshal(facts, r); err != nil {
		d.fail("release facts: %w", err)
		return
	}
	// Unknown, repeated and oddly spelled fields all show as a difference.
	if again, err := r.encode(); err != nil || !bytes.Equal(again, facts) {
		d.fail("release facts are not in canonical form")
	}
}

func (d *decoder) entry(last string) (e Entry) {
	tag := d.bytes(1)
	if d.err != nil {
		return e
	}
	e.Kind, e.Config = Kind(tag[0]&15), ConfigRule(tag[0]>>4)
	shared := d.uvarint(uint64(len(last)))
	e.Path = last[:shared] + d.string()
	switch {
	case d.err != nil:
		return e
	case len(e.Path) > MaxPath:
		d.fail("path longer than %d bytes", MaxPath)
	case shared < uint64(min(len(last), len(e.Path))) && last[shared] == e.Path[shared]:
		d.fail("path %.200q shares more with the one before than it says", e.Path)
	}
	switch e.Kind {
	case File:
		e.Mode = fs.FileMode(d.uvarint(0o777))
		e.Size = int64(d.uvarint(MaxFileSize))
		copy(e.Digest[:], d.bytes(len(e.Digest)))
	case Dir:
		e.Mode = fs.FileMode(d.uvarint(0o777))
	case Symlink:
		e.Link = d.string()
	default:
		d.fail("path %.200q: unknown kind %d", e.Path, e.Kind)
	}
	return e
}

func (d *decoder) string() string { return string(d.bytes(int(d.uvarint(MaxPath)))) }

// bytes returns the next n bytes, valid until the next call. No caller asks
// for more than MaxFacts.
func (d *decoder) bytes(n int) []byte {
	if d.err != nil {
		return nil
	}
	if cap(d.buf) < n {
		d.buf = make([]byte, n)
	}
	b := d.buf[:n]
	if _, err := io.ReadFull(d.r, b); err != nil {
		d.failRead(err)
		return nil
	}
	d.account(b)
	return b
}

// uvarint reads a varint in its shortest form, of at most limit.
func (d *decoder) uvarint(limit uint64) uint64 {
	var b [binary.MaxVarintLen64]byte
	n := 0
	for ; d.err == nil; n++ {
		if n == len(b) {
			d.fail("number too long")
			return 0
		}
		c, err := d.r.ReadByte()
		if err != nil {
			d.failRead(err)
			return 0
		}
		if b[n] = c; c < 0x80 {
			n++
			break
		}
	}
	if d.err != nil {
		return 0
	}
	d.account(b[:n])
	v, got := binary.Uvarint(b[:n])
	switch {
	case got != n || n > 1 && b[n-1] == 0:
		d.fail("number not in its shortest form")
		return 0
	case v > limit:
		d.fail("number %d: at most %d", v, limit)
		return 0
	}
	return v
}

func (d *decoder) account(b []byte) {
	if d.n += int64(len(b)); d.n > MaxCanonical {
		d.fail("longer than %d bytes", int64(MaxCanonical))
	}
	if d.h != nil {
		d.h.Write(b)
	}
}

func (d *decoder) failRead(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	d.fail("%w", err)
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("at byte %d: "+format, append([]any{d.n}, args...)...)
	}
}
