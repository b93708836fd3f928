package delta

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"github.com/treegraft-dev/treegraft/manifest"
)

func writeObject(t testing.TB, content []byte, l Level) (stored []byte, want Ref) {
	t.Helper()
	var b bytes.Buffer
	// Odd reads must not change the bytes.
	c, s, err := WriteObject(t.Context(), &b, iotest.HalfReader(bytes.NewReader(content)), l)
	if err != nil {
		t.Fatal(err)
	}
	if c != memBlob("", content).Ref || s != memBlob("", b.Bytes()).Ref {
		t.Fatalf("reported content %v and stored %v are wrong", c, s)
	}
	return b.Bytes(), c
}

func TestObjectRoundTrip(t *testing.T) {
	notRacing(t)
	for name, content := range map[string][]byte{
		"empty": {}, "byte": {7}, "text": bytes.Repeat([]byte("some text "), 99_999),
		"noise": noise(1, 3<<20), "program": program(1, 1<<20), "long": make([]byte, 20<<20),
	} {
		for _, l := range []Level{Small, Fast} {
			stored, want := writeObject(t, content, l)
			if most := len(content) + len(content)/40_000 + 32; len(stored) > most {
				t.Errorf("%s: stored as %d bytes, want at most %d", name, len(stored), most)
			}
			var got bytes.Buffer
			if err := ReadObject(t.Context(), &got, iotest.OneByteReader(bytes.NewReader(stored)), want); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !bytes.Equal(got.Bytes(), content) {
				t.Errorf("%s: content differs", name)
			}
			again, _ := writeObject(t, content, l)
			if !bytes.Equal(stored, again) {
				t.Errorf("%s: stored bytes differ from one time to the other", name)
			}
		}
	}
}

func TestHostileObjects(t *testing.T) {
	notRacing(t)
	content := program(1, 100_000)
	stored, want := writeObject(t, content, Small)
	flipped := slices.Clone(stored)
	flipped[len(flipped)/2] ^= 4
	bomb, _ := writeObject(t, make([]byte, 100<<20), Fast)
	e, err := zstd.NewWriter(nil, zstd.WithWindowSize(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	wide := e.EncodeAll(noise(1, 9<<20), nil)
	var stream bytes.Buffer
	e.Reset(&stream)
	io.Copy(e, bytes.NewReader(noise(1, 9<<20)))
	e.Close()
	for name, tt := range map[string]struct {
		stored []byte
		want   Ref
	}{
		"empty":            {nil, want},
		"not zstd":         {noise(2, 1000), want},
		"cut":              {stored[:len(stored)-1], want},
		"flipped":          {flipped, want},
		"more behind":      {append(slices.Clone(stored), stored...), want},
		"rubbish behind":   {append(slices.Clone(stored), 1, 2, 3), want},
		"smaller wanted":   {stored, Ref{want.Digest, want.Size - 1}},
		"larger wanted":    {stored, Ref{want.Digest, want.Size + 1}},
		"another digest":   {stored, Ref{manifest.Digest{1}, want.Size}},
		"bomb":             {bomb, want},
		"window too large": {wide, memBlob("", noise(1, 9<<20)).Ref},
		"streamed, ditto":  {stream.Bytes(), memBlob("", noise(1, 9<<20)).Ref},
	} {
		n := 0
		err := ReadObject(t.Context(), writerFunc(func(p []byte) { n += len(p) }), bytes.NewReader(tt.stored), tt.want)
		var format *FormatError
		var limit *LimitError
		var digest *DigestError
		if !errors.As(err, &format) && !errors.As(err, &limit) && !errors.As(err, &digest) {
			t.Errorf("%s: want a typed error, got %v", name, err)
		}
		if int64(n) > tt.want.Size {
			t.Errorf("%s: %d bytes written, want at most %d", name, n, tt.want.Size)
		}
	}
}

func TestObjectStops(t *testing.T) {
	stored, want := writeObject(t, program(1, 1<<20), Fast)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ReadObject(ctx, io.Discard, bytes.NewReader(stored), want); !errors.Is(err, context.Canceled) {
		t.Errorf("read: got %v", err)
	}
	if _, _, err := WriteObject(ctx, io.Discard, bytes.NewReader(stored), Fast); !errors.Is(err, context.Canceled) {
		t.Errorf("write: got %v", err)
	}
}

func FuzzObject(f *testing.F) {
	for _, b := range [][]byte{nil, []byte("x"), program(1, 900), make([]byte, 4000)} {
		stored, _ := writeObject(f, b, Small)
		f.Add(stored, len(b))
	}
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		if size < 0 || size > 1<<20 {
			return
		}
		n := 0
		ReadObject(t.Context(), writerFunc(func(p []byte) { n += len(p) }), bytes.NewReader(b), Ref{Size: int64(size)})
		if n > size {
			t.Errorf("%d bytes written, want at most %d", n, size)
		}
	})
}
