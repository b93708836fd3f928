package container

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"slices"
	"testing"
)

// gray returns a PNG file.
func gray(t testing.TB, size int) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, size, size))
	for i, v := range noise(1, size*size) {
		m.Set(i%size, i/size, color.Gray{v & 0x3f})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func chunk(name string, content []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
	b = append(append(b, name...), content...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// Chunks as other programs cut them, and broken ones.
func TestOddPNG(t *testing.T) {
	const size = 200 // of several blocks
	file := gray(t, size)
	at := bytes.Index(file, []byte("IDAT")) - 4
	n := int(binary.BigEndian.Uint32(file[at:]))
	head, data, tail := file[:at], file[at+8:at+8+n], file[at+12+n:]
	cut := func(sizes ...int) (b []byte) {
		rest := data
		for _, size := range sizes {
			b = append(b, chunk("IDAT", rest[:size])...)
			rest = rest[size:]
		}
		return append(b, chunk("IDAT", rest)...)
	}
	text := chunk("tEXt", []byte("Comment\x00between"))
	most := len(data) * 3 / 4
	broken := cut(100, most)
	broken[len(broken)-1] ^= 1 // the last chunk
	wrongEnd := bytes.Clone(data)
	wrongEnd[len(data)-1] ^= 1 // Adler-32
	for name, tt := range map[string]struct {
		body  []byte
		plain bool
	}{
		"one chunk":            {cut(), false},
		"of one byte":          {cut(1, 1, 1, 1, 1), false},
		"rising":               {cut(1, 2, 3, 4, 5, 6), false},
		"two and two":          {cut(50, 50, 20, 20), false},
		"header alone":         {cut(2), false},
		"text before":          {append(bytes.Clone(text), cut(50)...), false},
		"text behind":          {append(cut(50), text...), false},
		"text between":         {slices.Concat(chunk("IDAT", data[:most]), text, chunk("IDAT", data[most:])), false},
		"empty chunk first":    {append(chunk("IDAT", nil), cut(50)...), true},
		"empty chunk last":     {append(cut(50), chunk("IDAT", nil)...), false},
		"last chunk is broken": {broken, false},
		"wrong Adler-32":       {chunk("IDAT", wrongEnd), false},
		"bytes behind stream":  {chunk("IDAT", append(bytes.Clone(data), "more"...)), false},
		"cut stream":           {chunk("IDAT", data[:most]), false},
		"cut in its header":    {chunk("IDAT", data[:30]), true}, // not a block is whole
		"no zlib":              {chunk("IDAT", noise(1, 300)), true},
		"six bytes":            {chunk("IDAT", data[:6]), true},
		"size of a gigabyte":   {[]byte("\x40\x00\x00\x00IDATabc"), true},
		"size of 2^32-1":       {[]byte("\xff\xff\xff\xffIDATabc"), true},
		"no IDAT":              {text, true},
	} {
		whole := slices.Concat(head, tt.body, tail)
		if tt.plain {
			if _, err := unpack(t, whole); !errors.Is(err, ErrPlain) {
				t.Errorf("%s: got %v, want %v", name, err, ErrPlain)
			}
			continue
		}
		if form, err := unpack(t, whole); err != nil || len(form) < size*size/4 {
			t.Errorf("%s: form of %d bytes, %v", name, len(form), err)
			continue
		}
		wantRoundTrip(t, whole)
	}
}

// However the chunks are cut, the form has the same content.
func TestChunksDoNotMatter(t *testing.T) {
	file := gray(t, 60)
	one, other := wantRoundTrip(t, file), wantRoundTrip(t, rechunk(file, 77))
	at, now := bytes.Index(one, []byte("IHDR")), bytes.Index(other, []byte("IHDR"))
	end := func(form []byte) []byte { return form[len(form)-2000:] }
	if at != now || !bytes.Equal(end(one), end(other)) {
		t.Error("chunks of another size change more than their sizes")
	}
	if d := len(other) - len(one); d < 0 || d > 8 {
		t.Errorf("many chunks take %d bytes more than one", d)
	}
}
