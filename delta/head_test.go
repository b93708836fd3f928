package delta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"

	"github.com/treegraft-dev/treegraft/manifest"
)

func ref(seed byte, size int64) Ref { return Ref{Digest: manifest.Digest{seed, 1}, Size: size} }

func goodHead() *Head {
	return &Head{
		Old: []Ref{ref(1, 10), ref(2, 20), ref(3, 30), ref(4, 1<<33)},
		Frames: []Frame{
			{Ref: ref(5, 100), Kind: KindNative, Old: []int{0, 1, 3}, New: []Ref{ref(6, 7), ref(7, 0)}},
			{Ref: ref(8, 50), Kind: KindBSDIFF40, Old: []int{2}, New: []Ref{ref(9, 1<<34)}},
			{Ref: ref(10, 1), Kind: KindFull, New: []Ref{ref(11, 1)}},
		},
	}
}

func TestHeadRoundTrip(t *testing.T) {
	want := goodHead()
	b := want.encode()
	r := bytes.NewReader(append(b, "the first frame"...))
	got, err := ReadHead(r, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if r.Len() != len("the first frame") {
		t.Errorf("%d bytes are left, want those of the frame", r.Len())
	}
	if got.PackSize() != int64(len(b))+151 || got.Frames[2].Offset != int64(len(b))+150 {
		t.Errorf("got size %d and last offset %d", got.PackSize(), got.Frames[2].Offset)
	}
	if got.Digest != manifest.Sum(b) {
		t.Error("the head's own digest is wrong")
	}
}

// head puts a prefix before a body.
func headOf(body ...byte) []byte {
	b := append([]byte(packMagic), 0, 0, 0, 0)
	b = append(b, body...)
	binary.LittleEndian.PutUint32(b[len(packMagic):], uint32(len(b)))
	return b
}

func TestHostileHeads(t *testing.T) {
	change := func(f func(*Head)) []byte {
		h := goodHead()
		f(h)
		return h.encode()
	}
	big := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}
	good := goodHead().encode()
	for name, b := range map[string][]byte{
		"empty":             {},
		"wrong magic":       append([]byte("tgpack9\n"), good[8:]...),
		"cut in prefix":     good[:9],
		"cut":               good[:len(good)-1],
		"size too small":    append([]byte(packMagic), 3, 0, 0, 0),
		"size too large":    append([]byte(packMagic), 0xff, 0xff, 0xff, 0xff),
		"more behind":       headOf(0, 0, 0),
		"no body":           headOf(),
		"huge count":        headOf(big...),
		"huge frame count":  headOf(append([]byte{0}, big...)...),
		"count too long":    headOf(200, 1, 0),
		"long number":       headOf(0x80, 0x00, 0),
		"endless number":    headOf(bytes.Repeat([]byte{0xff}, 20)...),
		"huge old":          change(func(h *Head) { h.Old[0].Size = 1<<40 + 1 }),
		"negative old":      change(func(h *Head) { h.Old[0].Size = -1 }),
		"huge new":          change(func(h *Head) { h.Frames[0].New[0].Size = 1 << 41 }),
		"huge frame":        change(func(h *Head) { h.Frames[0].Size = maxOffset + 1 }),
		"frames overflow":   change(func(h *Head) { h.Frames[0].Size, h.Frames[1].Size = maxOffset, maxOffset }),
		"same new twice":    change(func(h *Head) { h.Frames[2].New = h.Frames[1].New }),
		"kind 0":            change(func(h *Head) { h.Frames[0].Kind = 0 }),
		"kind 5":            change(func(h *Head) { h.Frames[0].Kind = 5 }),
		"unpacked of two":   change(func(h *Head) { h.Frames[0].Kind = KindUnpacked; h.Frames[0].Old = []int{0, 1} }),
		"no new":            change(func(h *Head) { h.Frames[2].New = nil }),
		"full with old":     change(func(h *Head) { h.Frames[0].Kind = KindFull }),
		"bsdiff of two":     change(func(h *Head) { h.Frames[0].Kind = KindBSDIFF40 }),
		"bsdiff of nothing": change(func(h *Head) { h.Frames[1].Old = nil }),
		"reads its own":     change(func(h *Head) { h.Frames[1].Old = []int{6} }),
		"reads a later one": change(func(h *Head) { h.Frames[1].Old = []int{7} }),
		"first reads new":   change(func(h *Head) { h.Frames[0].Old = []int{4} }),
		"old beyond":        change(func(h *Head) { h.Frames[1].Old = []int{99} }),
		"old run beyond":    change(func(h *Head) { h.Frames[0].Old = []int{2, 3, 4, 5} }),
		"old not rising":    change(func(h *Head) { h.Frames[0].Old = []int{3, 1} }),
		"old twice":         change(func(h *Head) { h.Frames[0].Old = []int{1, 1} }),
	} {
		_, err := ReadHead(bytes.NewReader(b), Limits{})
		if err == nil {
			t.Errorf("%s: want an error", name)
			continue
		}
		var format *FormatError
		var limit *LimitError
		if !errors.As(err, &format) && !errors.As(err, &limit) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: want a typed error, got %v", name, err)
		}
	}
}

func TestHeadLimits(t *testing.T) {
	b := goodHead().encode()
	for name, l := range map[string]Limits{
		"head":  {Head: int64(len(b)) - 1},
		"blob":  {Blob: 1<<34 - 1},
		"total": {Total: 1<<34 + 7},
	} {
		if _, err := ReadHead(bytes.NewReader(b), l); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	l := Limits{Head: int64(len(b)), Blob: 1 << 34, Total: 1<<34 + 8}
	if _, err := ReadHead(bytes.NewReader(b), l); err != nil {
		t.Errorf("limits that just fit: %v", err)
	}
}

// Frames that all name all old blobs cost four bytes each, but would be read
// into a list of millions.
func TestHeadBoundsNamedOldBlobs(t *testing.T) {
	h := &Head{Old: make([]Ref, 3000)}
	for i := range h.Old {
		h.Old[i] = Ref{Size: int64(i)}
	}
	all := make([]int, len(h.Old))
	for i := range all {
		all[i] = i
	}
	for i := range maxNamed/len(all) + 1 {
		h.Frames = append(h.Frames, Frame{Kind: KindNative, Old: all, New: []Ref{{Size: int64(i)}}})
	}
	if _, err := ReadHead(bytes.NewReader(h.encode()), Limits{}); err == nil {
		t.Error("want an error")
	}
	h.Frames = h.Frames[1:]
	if _, err := ReadHead(bytes.NewReader(h.encode()), Limits{}); err != nil {
		t.Error(err)
	}
}

// An announced size must not be allocated before the bytes arrive.
func TestHeadDoesNotTrustItsSize(t *testing.T) {
	notRacing(t)
	b := append([]byte(packMagic), 0, 0, 0, 3) // 48 MiB
	n := testing.AllocsPerRun(1, func() {
		if _, err := ReadHead(bytes.NewReader(b), Limits{}); err == nil {
			t.Error("want an error")
		}
	})
	bytesUsed := testing.Benchmark(func(b2 *testing.B) {
		b2.ReportAllocs()
		for range b2.N {
			ReadHead(bytes.NewReader(b), Limits{})
		}
	}).AllocedBytesPerOp()
	if bytesUsed > 64<<10 {
		t.Errorf("%v allocations of %d bytes for 12 bytes of input", n, bytesUsed)
	}
}

func FuzzHead(f *testing.F) {
	f.Add(goodHead().encode())
	f.Add(headOf(0, 0))
	f.Add(headOf(0xff, 0xff, 0xff, 0x7f))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ReadHead(bytes.NewReader(b), Limits{})
		if err != nil {
			return
		}
		size := h.Size
		if again := h.encode(); !bytes.Equal(again, b[:size]) {
			t.Errorf("accepted head is not written the same way:\n%x\n%x", b[:size], again)
		}
	})
}

func TestHeadNumbersNewBlobs(t *testing.T) {
	h := goodHead()
	h.Frames[1].Old = []int{5}
	h.Frames[2].Kind, h.Frames[2].Old = KindNative, []int{0, 4, 5, 6}
	got, err := ReadHead(bytes.NewReader(h.encode()), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Ref{ref(1, 10), ref(2, 20), ref(3, 30), ref(4, 1<<33), ref(6, 7), ref(7, 0), ref(9, 1<<34), ref(11, 1)} {
		if got := got.Blob(i); got != want {
			t.Errorf("blob %d is %+v, want %+v", i, got, want)
		}
	}
	for frame, want := range [][]int{nil, {0}, {0, 1}} {
		if got := got.Needs(frame); !slices.Equal(got, want) {
			t.Errorf("frame %d needs %v, want %v", frame, got, want)
		}
	}
}
