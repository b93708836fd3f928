package container

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestFrozen wants predictions and code lengths to stay as they are: a form
// that was made once means the same file for ever. For each matcher and maker
// of headers it has the CRC-32 of a stream without any correction.
func TestFrozen(t *testing.T) {
	content := append(text(1, 60_000), noise(1, 2_000)...)
	content = append(content, make([]byte, 1_000)...)
	content = append(content, text(1, 30_000)...)
	for id, want := range frozen {
		for k, maker := range []byte{headerZlib, headerGo} {
			side := string([]byte{byte(id), flagFinal | dynamic<<flagKind | maker<<flagHeader | flagRest, 0})
			var stream bytes.Buffer
			err := Repack(t.Context(), &stream, bytes.NewReader(form("\x02", segmentOf(side, string(content)), "\x00\x00\x00")))
			if err != nil {
				t.Fatal(err)
			}
			if got := crc32.ChecksumIEEE(stream.Bytes()); got != want[k] {
				t.Errorf("matcher %d, maker %d: got %#08x, want %#08x", id, maker, got, want[k])
			}
			again, err := io.ReadAll(flate.NewReader(&stream))
			if err != nil || !bytes.Equal(again, content) {
				t.Errorf("matcher %d, maker %d: the stream does not hold the content: %v", id, maker, err)
			}
		}
	}
	if len(frozen) != len(matchers) {
		t.Errorf("%d matchers are frozen, want %d", len(frozen), len(matchers))
	}
}

var frozen = [][2]uint32{
	{0xcf187718, 0x2e21edf1},
	{0xba020604, 0xd344ab32},
	{0x02f86a22, 0x540569eb},
	{0x02f86a22, 0x540569eb},
	{0x37e9c9ae, 0x7f4ec22d},
	{0x0058b8aa, 0xaaa6a655},
	{0xe7406dd5, 0xc587d89a},
	{0x24afc660, 0x4384a615},
	{0xbf97e2e3, 0x82bbaea9},
	{0x54a494b4, 0xab534c65},
	{0x7edb100d, 0x6dbb4865},
	{0xda0df206, 0x08d874e0},
	{0xda0df206, 0x08d874e0},
	{0x7edb100d, 0x6dbb4865},
	{0x38bd099b, 0x4405c75b},
	{0x96413d6a, 0x69fa38ff},
	{0x32ebde5e, 0x84fbf354},
	{0xb5acda89, 0x7d6ff953},
	{0xb1d73bca, 0x97000d5a},
	{0xaab9db0c, 0xbe53ccc3},
	{0x6e4948ea, 0x170dc26f},
	{0x6e4948ea, 0x170dc26f},
	{0xaab9db0c, 0xbe53ccc3},
	{0x01723690, 0x8c7dd703},
	{0xe356d67b, 0xe7654290},
	{0xe8acd8b8, 0x6f980a0f},
	{0x2baffaa0, 0x8c48ea81},
	{0xdfcad3a2, 0x66c4d4ae},
	{0xc7df83f8, 0x21058555},
	{0xf2a538fb, 0xb96b28a6},
}

// streamOf returns a deflate stream as matchers predict it: one for each part of
// the content, all of which but the first begin anew.
func streamOf(t *testing.T, parts []string, ids ...byte) []byte {
	t.Helper()
	record := "\x02"
	for i, part := range parts {
		flags := byte(dynamic<<flagKind | headerZlib<<flagHeader | flagRest)
		if i == len(parts)-1 {
			flags |= flagFinal
		}
		id := ids[i]
		if i > 0 {
			id |= flagAnew
		}
		record += segmentOf(string([]byte{id, flags, 0}), part)
	}
	var stream bytes.Buffer
	if err := Repack(t.Context(), &stream, bytes.NewReader(form(record, "\x00\x00\x00"))); err != nil {
		t.Fatal(err)
	}
	return stream.Bytes()
}

func gzipMember(stream []byte, content string) []byte {
	le := binary.LittleEndian
	b := append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), stream...)
	return le.AppendUint32(le.AppendUint32(b, crc32.ChecksumIEEE([]byte(content))), uint32(len(content)))
}

// TestFrozenForms wants the form of a file to stay as it is: old files are
// unpacked again where a delta is applied. So how matchers are chosen is frozen
// too, from stream to stream and from segment to segment.
func TestFrozenForms(t *testing.T) {
	if racing {
		t.Skip("left to runs without the race detector")
	}
	small := string(text(1, 40_000))
	long := func(seed uint64) string { return strings.Repeat(string(text(seed, 1<<17)), 8) } // ends a segment
	first, second, third := long(2), long(3), string(text(4, 90_000))
	var all []byte // members of several compressors, and after them one that none is like
	for _, id := range []byte{1, 20, 12, 28, 7} {
		all = append(all, gzipMember(streamOf(t, []string{small}, id), small)...)
	}
	// Matches of three where longer ones are at hand: no matcher makes these.
	const matches = 3000
	side := binary.AppendUvarint([]byte{0, flagFinal | fixed<<flagKind | flagRest}, matches)
	for i := range matches {
		side = append(side, byte(1-min(i, 1)), 1, 0, 0)
	}
	odd := strings.Repeat("a", 1+3*matches)
	var stream bytes.Buffer
	if err := Repack(t.Context(), &stream, bytes.NewReader(form("\x02", segmentOf(string(side), odd), "\x00\x00\x00"))); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		file []byte
		want uint32
	}{
		"several compressors":   {all, 0xe1871a60},
		"another in the middle": {gzipMember(streamOf(t, []string{first, second, third}, 1, 22, 22), first+second+third), 0x74f746f1},
		"none":                  {slices.Concat(gzipMember(stream.Bytes(), odd), all), 0xe359cfd3},
	} {
		form := wantRoundTrip(t, tt.file)
		if got := crc32.ChecksumIEEE(form); got != tt.want {
			t.Errorf("%s: the form of %d bytes has the CRC-32 %#08x, want %#08x", name, len(form), got, tt.want)
		}
	}
}
