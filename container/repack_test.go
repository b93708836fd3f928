package container

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

// form joins records to an unpacked form.
func form(records ...string) []byte {
	return []byte(magic + strings.Join(records, ""))
}

// segmentOf makes a segment of what is said of its blocks, and content.
func segmentOf(side, content string) string {
	b := binary.AppendUvarint(nil, uint64(len(side)))
	b = append(b, side...)
	b = binary.AppendUvarint(b, uint64(len(content)))
	return string(b) + content
}

// TestForm wants the bytes that docs/FORMAT.md says.
func TestForm(t *testing.T) {
	header := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
	trailer := "\x12\x34\x56\x78\x06\x00\x00\x00" // not the right CRC-32
	// A final fixed block: the literal a, a match of 5 at 1, the end. zlib never
	// looks at the first byte of a stream, so the match is a correction.
	file := header + "\x4b\x04\x03\x00" + trailer
	want := form("\x01\x0a"+header, "\x02", segmentOf("\x01\x23\x01\x01\x01\x00\x02", "aaaaaa"), "\x00\x00", "\x01\x08"+trailer, "\x00")
	if got := wantRoundTrip(t, []byte(file)); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// The same, with the match listed, and with bits behind the end.
	for pad, last := range map[string]string{"\x00": "\x00", "\x3f": "\xc0"} {
		listed := form("\x02", segmentOf("\x00\x23\x01\x01\x01\x00\x02", "aaaaaa"), "\x00"+pad, "\x00")
		var got bytes.Buffer
		if err := Repack(t.Context(), &got, bytes.NewReader(listed)); err != nil {
			t.Fatal(err)
		}
		if want := "\x4b\x04\x03" + last; got.String() != want {
			t.Errorf("got %q, want %q", got.String(), want)
		}
	}
}

func TestRepackRefuses(t *testing.T) {
	good := wantRoundTrip(t, gzipped(t, 6, text(1, 3000)))
	stream := func(side, content string) []byte {
		return form("\x02", segmentOf(side, content), "\x00\x00\x00")
	}
	chunks := "\x07\x01\x01\x04" // one of four bytes
	for _, c := range []struct {
		name string
		form []byte
		want string
	}{
		{"nothing", nil, "too early"},
		{"other magic", []byte("tgunpk2\n\x00"), "unknown magic"},
		{"no end", form(), "too early"},
		{"bytes behind the end", form("\x00\x00"), "behind the end"},
		{"unknown record", form("\x0c"), "unknown record 12"},
		{"unknown check", form("\x03\x04\x00"), "unknown kind of check"},
		{"plain cut off", form("\x01\x05abc"), "too early"},
		{"plain too large", form("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "number is too large"},
		{"number without end", form("\x01" + strings.Repeat("\xff", 11)), "number is too large"},
		{"cut off", good[:len(good)-1], "too early"},
		{"cut off in content", good[:1000], "too early"},
		{"huge side", form("\x02\xff\xff\xff\x7f"), "want at most"},
		{"huge content", form("\x02\x01\x00\xff\xff\xff\x7f"), "want at most"},
		{"unknown matcher", stream("\xfe\x22\x00", "a"), "unknown matcher"},
		{"reserved block", stream("\x00\x26\x00", "a"), "unknown kind of block"},
		{"reserved flag", stream("\x00\x62\x00", "a"), "unknown kind of block"},
		{"no blocks", stream("\x00", "a"), "content behind the last block"},
		{"content left over", stream("\x00\x02\x01\x00", "ab"), "content behind the last block"},
		{"content missing", stream("\x00\x02\x03\x00", "ab"), "more tokens than content"},
		{"stored past content", stream("\x00\x00\x03", "ab"), "number is too large"},
		{"match past content", stream("\x00\x22\x01\x01\x01\x00\x00", "ab"), "reaches out"},
		{"match before content", stream("\x00\x22\x01\x00\x01\x00\x00", "aaaa"), "reaches out"},
		{"distance too large", stream("\x00\x22\x01\x00\x01\x80\x00", "aaaa"), "distance is too large"},
		{"too many corrections", stream("\x00\x22\x01\x02\x00\x00", "a"), "corrections behind"},
		{"corrections cut off", stream("\x00\x22\x01\x00", "a"), "too early"},
		{"code lengths cut off", stream("\x00\x24\x00", "a"), "bad code lengths"},
		{"bad code lengths", stream("\x00\x24\xff\xff\xff\xff\xff\xff\xff\x00", "a"), "bad code lengths"},
		{"section cut off", form("\x09\x03\x03\x00\x22\x00\x05\x00\x00abc"), "too early"},
		{"section of a wrong size", form("\x09\x04\x03\x00\x23\x00\x01\x00\x00a", "\x00"), "wrong size"},
		{"section with too much to say", form("\x09\x03\xff\xff\xff\x07"), "want at most"},
		{"unknown hash", form("\x0a\x03\x0c\x01\x00"), "unknown seal"},
		{"small pages", form("\x0a\x02\x08\x01\x00"), "unknown seal"},
		{"large pages", form("\x0a\x02\x19\x01\x00"), "unknown seal"},
		{"nothing sealed", form("\x0a\x02\x0c\x00\x00"), "unknown seal"},
		{"too many digests", form("\x0a\x02\x09\xff\xff\xff\xff\x7f\x00"), "too many digests"},
		{"too many seals", form("\x0a\x02\x0c\x01\x0a\x02\x0c\x01\x0a\x02\x0c\x01\x00"), "too many seals"},
		{"digests without a seal", form("\x0b\x00"), "without a seal"},
		{"digests too early", form("\x0a\x02\x0c\x05\x01\x04abcd\x0b\x00"), "before their pages"},
		{"seal without digests", form("\x0a\x02\x0c\x04\x01\x04abcd\x00"), "without digests"},
		{"seal cut off", form("\x0a\x02"), "too early"},
		{"short local header", form("\x04\x02PK"), "too short"},
		{"huge local header", form("\x04\xff\xff\xff\x01"), "want at most"},
		{"entry without member", form("\x05\x00\x2e" + strings.Repeat("x", 46) + "\x00"), "without its members"},
		{"tail without directory", form("\x06\x16" + strings.Repeat("x", 22) + "\x00"), "without its members"},
		{"chunk not full", form(chunks, "\x01\x03abc", "\x08", "\x00"), "not full"},
		{"chunk too full", form(chunks, "\x01\x05abcde", "\x08", "\x00"), "more bytes than chunks"},
		{"chunks too many", form("\x07\x01\x02\x04", "\x01\x04abcd", "\x08", "\x00"), "more chunks than bytes"},
		{"chunks in chunks", form(chunks, chunks), "chunks in chunks"},
		{"chunks without end", form(chunks, "\x01\x04abcd", "\x00"), "do not end"},
		{"end of no chunks", form("\x08\x00"), "without a start"},
		{"empty chunks", form("\x07\x01\xff\xff\xff\xff\x07\x00", "\x08", "\x00"), "empty chunks"},
		{"no chunks", form("\x07\x00"), "more bytes than chunks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Repack(t.Context(), io.Discard, bytes.NewReader(c.form))
			var format *FormatError
			if !errors.As(err, &format) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a FormatError with %q", err, c.want)
			}
		})
	}
}

// TestRepackAllocatesAsItReads wants a claim of much content to cost little.
func TestRepackAllocatesAsItReads(t *testing.T) {
	claim := form("\x02\x80\x80\x80\x04") // 8 MiB of side
	n := testing.Benchmark(func(b *testing.B) {
		for range b.N {
			if err := Repack(t.Context(), io.Discard, bytes.NewReader(claim)); err == nil {
				b.Fatal("no error")
			}
		}
	})
	if n.AllocedBytesPerOp() > 1<<20 {
		t.Errorf("allocated %d bytes for a claim", n.AllocedBytesPerOp())
	}
}

// FuzzRepack wants hostile forms to be refused, or to give a file, and no
// panic. What comes out is bounded: nothing is longer than its form allows.
func FuzzRepack(f *testing.F) {
	for _, file := range seeds(f) {
		var form bytes.Buffer
		if err := Unpack(f.Context(), &form, bytes.NewReader(file), int64(len(file))); err != nil {
			f.Fatal(err)
		}
		f.Add(form.Bytes())
	}
	f.Add(form("\x0a\x02\x09\x04", "\x0a\x01\x09\x03", "\x01\x04abcd", "\x0b", "\x0b", "\x00"))
	f.Fuzz(func(t *testing.T, form []byte) {
		out := &counter{}
		if err := Repack(t.Context(), out, bytes.NewReader(form)); err != nil {
			var format *FormatError
			if !errors.As(err, &format) {
				t.Errorf("got %v, want a FormatError", err)
			}
		}
		// A correction of a byte can make a block header of 320 code lengths.
		if most := int64(len(form)+1) * 2000; out.n > most {
			t.Errorf("%d bytes of form gave %d", len(form), out.n)
		}
	})
}

type counter struct{ n int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	return len(b), nil
}
