package container

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"testing"
)

// zipMember is one of a zip file that need not be as it should.
type zipMember struct {
	name       string
	content    []byte
	stored     bool
	flags      uint16 // bit 0: encrypted, bit 3: descriptor
	descriptor string // what stands in front of one: its signature or nothing
	zip64      bool   // sizes are in extra fields
	gap        int    // bytes in front of it
}

// zipOf makes a zip file; its directory lists the members in an order.
func zipOf(t testing.TB, members []zipMember, order ...int) []byte {
	t.Helper()
	le := binary.LittleEndian
	var file []byte
	entries := make([][]byte, len(members))
	for i, m := range members {
		file = append(file, make([]byte, m.gap)...)
		packed, method := m.content, uint16(0)
		if !m.stored {
			packed, method = deflated(t, m.content), 8
		}
		sum, in, out := crc32.ChecksumIEEE(m.content), uint32(len(packed)), uint32(len(m.content))
		var extra []byte
		if m.zip64 {
			extra = le.AppendUint64(le.AppendUint64([]byte{1, 0, 16, 0}, uint64(out)), uint64(in))
			in, out = 1<<32-1, 1<<32-1
		}
		header := func(late bool) (b []byte) {
			b = le.AppendUint16(nil, 20)
			b = le.AppendUint16(b, m.flags)
			b = le.AppendUint16(b, method)
			b = le.AppendUint32(b, 0x21)
			for _, v := range []uint32{sum, in, out} {
				if late {
					v = 0
				}
				b = le.AppendUint32(b, v)
			}
			b = le.AppendUint16(b, uint16(len(m.name)))
			return le.AppendUint16(b, uint16(len(extra)))
		}
		at := uint32(len(file))
		file = append(append(file, "PK\x03\x04"...), header(m.flags&8 != 0)...)
		file = append(append(append(file, m.name...), extra...), packed...)
		if m.flags&8 != 0 {
			file = append(file, m.descriptor...)
			for _, v := range []uint32{sum, in, out} {
				file = le.AppendUint32(file, v)
			}
		}
		e := append([]byte("PK\x01\x02\x14\x03"), header(false)...)
		e = le.AppendUint32(append(e, make([]byte, 10)...), at)
		entries[i] = append(append(e, m.name...), extra...)
	}
	start := len(file)
	if order == nil {
		for i := range members {
			order = append(order, i)
		}
	}
	for _, i := range order {
		file = append(file, entries[i]...)
	}
	size := len(file) - start
	file = append(file, "PK\x05\x06\x00\x00\x00\x00"...)
	file = le.AppendUint16(le.AppendUint16(file, uint16(len(order))), uint16(len(order)))
	file = le.AppendUint32(le.AppendUint32(file, uint32(size)), uint32(start))
	return append(file, 0, 0)
}

func deflated(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 6)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Zip files as tools other than the usual ones write them, and broken ones:
// what is deflated is unpacked, and all of it comes back.
func TestOddZips(t *testing.T) {
	const signature = "PK\x07\x08"
	a, b := text(1, 5000), text(2, 6000)
	plain := []zipMember{{name: "a", content: a}, {name: "b", content: b}}
	good := zipOf(t, plain)
	changed := func(at int, v byte) []byte {
		file := bytes.Clone(good)
		file[at] = v
		return file
	}
	directory := bytes.Index(good, []byte("PK\x01\x02"))
	for name, tt := range map[string]struct {
		file     []byte
		unpacked [][]byte
	}{
		"good":                     {good, [][]byte{a, b}},
		"stored":                   {zipOf(t, []zipMember{{name: "a", content: a, stored: true}, {name: "b", content: b}}), [][]byte{a, b}},
		"descriptors":              {zipOf(t, []zipMember{{name: "a", content: a, flags: 8, descriptor: signature}, {name: "b", content: b}}), [][]byte{a, b}},
		"descriptors, unsigned":    {zipOf(t, []zipMember{{name: "a", content: a, flags: 8}, {name: "b", content: b}}), [][]byte{a, b}},
		"descriptor is another":    {zipOf(t, []zipMember{{name: "a", content: a, flags: 8, descriptor: "ABCDEFGH"}, {name: "b", content: b}}), [][]byte{a, b}},
		"descriptor, not said":     {slices.Concat(zipOf(t, []zipMember{{name: "a", content: a, descriptor: signature}})), [][]byte{a}},
		"encrypted":                {zipOf(t, []zipMember{{name: "a", content: a, flags: 1}, {name: "b", content: b}}), [][]byte{b}},
		"64 bits":                  {zipOf(t, []zipMember{{name: "a", content: a, zip64: true}, {name: "b", content: b}}), [][]byte{b}},
		"empty member":             {zipOf(t, []zipMember{{name: "a", stored: true}, {name: "b", content: b}}), [][]byte{b}},
		"nothing, deflated":        {zipOf(t, []zipMember{{name: "a", content: []byte{}}, {name: "b", content: b}}), [][]byte{b}},
		"bytes between":            {zipOf(t, []zipMember{{name: "a", content: a}, {name: "b", content: b, gap: 4096}}), [][]byte{a, b}},
		"aligned":                  {zipOf(t, []zipMember{{name: "a", content: a, gap: 0}, {name: "b", content: b, gap: 3}}), [][]byte{a, b}},
		"directory in other order": {zipOf(t, plain, 1, 0), [][]byte{a, b}},
		"listed twice":             {zipOf(t, plain, 0, 0, 1), [][]byte{a, b}},
		"not listed":               {zipOf(t, plain, 1), [][]byte{b}},
		"bytes behind":             {append(bytes.Clone(good), "some more"...), [][]byte{a, b}},
		"wrong CRC-32":             {changed(14, good[14]^1), [][]byte{a, b}},
		"wrong CRC-32 in entry":    {changed(directory+16, good[directory+16]^1), [][]byte{a, b}},
		"wrong size":               {changed(22, good[22]^1), [][]byte{a, b}},
		"name beyond the entry":    {changed(directory+28, 200), nil},
		"local header is none":     {changed(1, 'X'), nil}, // and so the magic is wrong
		"second header is none":    {changed(bytes.LastIndex(good, []byte("PK\x03\x04"))+1, 'X'), [][]byte{a}},
		"method is another":        {changed(directory+10, 9), [][]byte{b}},
		"deflate is broken":        {changed(31, 7), [][]byte{b}},
		"directory is elsewhere":   {changed(len(good)-6, good[len(good)-6]+40), nil},
		"two ends":                 {slices.Concat(good, good[len(good)-22:]), nil},
		"cut":                      {good[:len(good)-30], nil},
	} {
		form, err := unpack(t, tt.file)
		if tt.unpacked == nil {
			if !errors.Is(err, ErrPlain) {
				t.Errorf("%s: got %v, want %v", name, err, ErrPlain)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantRoundTrip(t, tt.file)
		for i, content := range tt.unpacked {
			if !bytes.Contains(form, content) {
				t.Errorf("%s: content %d of %d is not in the form", name, i, len(tt.unpacked))
			}
		}
	}
}

// Bytes in front of a zip file, as programs that unpack themselves have them,
// move all positions. Its first bytes are not those of a zip file then, so here
// a local header of nobody stands there.
func TestMovedZip(t *testing.T) {
	content := text(3, 5000)
	front := append([]byte("PK\x03\x04"), make([]byte, 300)...)
	file := append(front, zipOf(t, []zipMember{{name: "a", content: content}})...)
	if form := wantRoundTrip(t, file); !bytes.Contains(form, content) {
		t.Error("a member behind other bytes is not unpacked")
	}
}

// A directory that was made for one member must not say anything of another:
// only the record that is about an entry changes with it.
func TestDirectoryIsKnown(t *testing.T) {
	names := []string{"one", "two", "three", "four"}
	members := func(first int) (list []zipMember) {
		for i, name := range names {
			list = append(list, zipMember{name: name, content: text(uint64(i), 500+i)})
		}
		list[0].content = text(9, first)
		return list
	}
	old, new := wantRoundTrip(t, zipOf(t, members(700))), wantRoundTrip(t, zipOf(t, members(900)))
	at := bytes.Index(old, []byte("PK\x01\x02"))
	if now := bytes.Index(new, []byte("PK\x01\x02")); at < 0 || !bytes.Equal(old[at:], new[now:]) {
		t.Error("directories of one shape differ in their form")
	}
}

// A bit of a small file may be wrong: it comes back, or is plain.
func TestFlippedBits(t *testing.T) {
	for name, file := range map[string][]byte{
		"zip":  zipOf(t, []zipMember{{name: "a", content: text(1, 60), flags: 8, descriptor: "PK\x07\x08"}, {name: "b", content: text(2, 40)}}),
		"gzip": gzipped(t, 6, text(3, 90)),
		"png":  rechunk(gray(t, 12), 20),
	} {
		for i := 0; i < len(file); i += 9 {
			broken := bytes.Clone(file)
			broken[i] ^= 1 << (i % 8)
			if _, err := unpack(t, broken); err == nil {
				wantRoundTrip(t, broken)
			} else if !errors.Is(err, ErrPlain) {
				t.Errorf("%s, byte %d: %v", name, i, err)
			}
		}
	}
}

// So may its end.
func TestCutFiles(t *testing.T) {
	for name, file := range map[string][]byte{
		"zip":  zipOf(t, []zipMember{{name: "a", content: text(1, 60)}}),
		"gzip": slices.Concat(gzipped(t, 6, text(3, 90)), gzipped(t, 9, text(4, 50))),
		"png":  rechunk(gray(t, 12), 20),
	} {
		for n := 0; n < len(file); n += 17 {
			if _, err := unpack(t, file[:n]); err == nil {
				wantRoundTrip(t, file[:n])
			} else if !errors.Is(err, ErrPlain) {
				t.Errorf("%s, %d bytes: %v", name, n, err)
			}
		}
	}
}
