package container

import (
	"bytes"
	"compress/flate"
	"hash/crc32"
	"io"
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
}
