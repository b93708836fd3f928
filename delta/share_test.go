package delta

import (
	"bytes"
	"io"
	"slices"
	"testing"
)

// siblings returns old and new programs that share a new library.
func siblings(n int) (old, new []Blob) {
	library := noise(99, 900_000)
	for i := range n {
		o := noise(uint64(i), 400_000+10_000*i)
		old = append(old, memBlob(string(rune('a'+i)), o))
		new = append(new, memBlob(string(rune('a'+i)), slices.Concat(o[:200_000], library, o[200_000:])))
	}
	return old, new
}

// What is new in several blobs travels once.
func TestNewContentIsShared(t *testing.T) {
	notRacing(t)
	old, new := siblings(4)
	pack, _ := checkRoundTrip(t, old, new, Options{})
	if len(pack) > 1_000_000 {
		t.Errorf("pack has %d bytes, for new content of 900,000", len(pack))
	}
	h := readHead(t, pack)
	needs := 0
	for i := range h.Frames {
		for _, k := range h.Needs(i) {
			if needs++; k >= i {
				t.Errorf("frame %d needs frame %d", i, k)
			}
		}
	}
	if needs < 3 {
		t.Errorf("frames need %d others, want 3 at least", needs)
	}
	// The same with any number of workers.
	for _, workers := range []int{1, 3} {
		if again, _ := writePack(t, old, new, Options{Workers: workers}); !bytes.Equal(again, pack) {
			t.Errorf("with %d workers the pack is another one", workers)
		}
	}
}

// Nothing is shared where old content explains the new.
func TestNearReleasesAreNotShared(t *testing.T) {
	old, _ := siblings(4)
	var new []Blob
	for i, b := range old {
		f, err := b.Open()
		if err != nil {
			t.Fatal(err)
		}
		content := make([]byte, b.Size)
		if _, err := f.ReadAt(content, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		more := slices.Concat(content, content, content)
		new = append(new, memBlob(b.Name, edit(uint64(i), more, 30)))
	}
	pack, _ := checkRoundTrip(t, old, new, Options{})
	h := readHead(t, pack)
	for i := range h.Frames {
		if n := h.Needs(i); len(n) > 0 {
			t.Errorf("frame %d needs %v", i, n)
		}
	}
}

// A blob without an old one, containers and blobs that stand alone go together
// with those that are shared.
func TestSharedAmongOthers(t *testing.T) {
	notRacing(t)
	old, new := siblings(3)
	first := memBlob("manifest", noise(7, 2_000_000))
	first.Alone = true
	last := memBlob("z", noise(50, 3000))
	zip := memBlob("x.gz", gzipped(t, noise(51, 1_500_000)))
	new = slices.Concat([]Blob{first, last, zip}, new)
	pack, r := checkRoundTrip(t, old, new, Options{})
	if r.Blobs[0].Frame != 0 {
		t.Errorf("the blob that stands alone is in frame %d", r.Blobs[0].Frame)
	}
	if n := readHead(t, pack).Needs(0); len(n) > 0 {
		t.Errorf("it needs %v", n)
	}
}
