package delta

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/treegraft-dev/treegraft/manifest"
)

// pair is a small update with all kinds of content.
func pair(o Options, t testing.TB) (pack []byte, old, new []Blob) {
	a, b := program(1, 9_000), noise(2, 1_000)
	old = memBlobs(a, b, []byte("tiny"))
	new = memBlobs(edit(1, a, 20), append(slices.Clone(b), program(3, 700)...), []byte("tiny!"), noise(4, 200))
	pack, _ = writePack(t, old, new, o)
	return pack, old, new
}

// resign makes a pack with changed frames valid again, as somebody could who
// may sign: only the formats themselves defend then.
func resign(h *Head, pack []byte) (*Head, []byte) {
	changed := *h
	changed.Frames = slices.Clone(h.Frames)
	for i := range changed.Frames {
		f := &changed.Frames[i]
		f.Digest = manifest.Sum(pack[f.Offset : f.Offset+f.Size])
	}
	return &changed, pack
}

func TestFlippedByteAnywhere(t *testing.T) {
	notRacing(t)
	for codec, o := range codecs {
		pack, old, _ := pair(o, t)
		good := readHead(t, pack)
		bad := slices.Clone(pack)
		for i := range pack {
			copy(bad, pack)
			bad[i] ^= 0x11
			if int64(i) < good.Size {
				if h, err := ReadHead(bytes.NewReader(bad), Limits{}); err == nil && h.Digest == good.Digest {
					t.Fatalf("%s: byte %d of the head does not matter", codec, i)
				}
				continue
			}
			_, err := patchAll(bad, good, old)
			var digest *DigestError
			if !errors.As(err, &digest) {
				t.Fatalf("%s: byte %d flipped: want a digest error, got %v", codec, i, err)
			}
		}
	}
}

// With the frame's digest mended, what a flipped byte does must be found by
// the parsers or by the digests of the new blobs. The collector panics when
// wrong bytes are called good.
func TestFlippedByteWithGoodDigest(t *testing.T) {
	notRacing(t)
	for codec, o := range codecs {
		pack, old, _ := pair(o, t)
		h := readHead(t, pack)
		harmless := 0
		for i := int(h.Size); i < len(pack); i++ {
			bad := slices.Clone(pack)
			bad[i] ^= 1 << (i % 8)
			mended, bad := resign(h, bad)
			if _, err := patchAll(bad, mended, old); err == nil {
				harmless++
			}
		}
		// Unused bits of a compressed stream may be anything, and bzip2's
		// checksums and sizes are not looked at in patches of bsdiff.
		if all := len(pack) - int(h.Size); harmless > all/10 {
			t.Errorf("%s: %d of %d flips do not matter", codec, harmless, all)
		}
	}
}

func TestCutFrames(t *testing.T) {
	notRacing(t)
	for codec, o := range codecs {
		pack, old, _ := pair(o, t)
		h := readHead(t, pack)
		for n := int(h.Size); n < len(pack); n += 7 {
			if _, err := patchAll(pack[:n], h, old); err == nil {
				t.Fatalf("%s: pack cut at %d was patched", codec, n)
			}
		}
	}
}

func TestWrongOldContent(t *testing.T) {
	for codec, o := range codecs {
		a := program(1, 30_000)
		old, new := memBlobs(a), memBlobs(edit(1, a, 20))
		pack, _ := writePack(t, old, new, o)
		h := readHead(t, pack)
		wrong := slices.Clone(a)
		wrong[20_000] ^= 1
		for name, b := range map[string][]byte{"flipped": wrong, "cut": a[:15_000], "empty": {}} {
			c, err := patchWith(pack, h, func(int) (File, error) { return memBlob("", b).Open() })
			if err == nil {
				t.Errorf("%s: %s old file: want an error", codec, name)
			}
			if len(c.good) != 0 {
				t.Errorf("%s: %s old file: a wrong output was called good", codec, name)
			}
		}
	}
}

var errTest = errors.New("for a test")

type failingOutput struct{ collected }

func (f *failingOutput) Write([]byte) (int, error) { return 0, errTest }

func TestPatchPassesErrorsOn(t *testing.T) {
	pack, old, _ := pair(Options{}, t)
	h := readHead(t, pack)
	f := &h.Frames[0]
	c := &collector{good: map[Ref][]byte{}, bad: map[Ref]error{}}
	open := func(i int) (File, error) { return old[i].Open() }
	failOpen := func(int) (File, error) { return nil, errTest }
	failCreate := func(Ref) (Output, error) { return nil, errTest }
	failWrite := func(r Ref) (Output, error) { return &failingOutput{collected{c: c, ref: r}}, nil }
	r := io.NewSectionReader(bytes.NewReader(pack), f.Offset, f.Size)
	for name, err := range map[string]error{
		"open":   h.Patch(t.Context(), 0, r, failOpen, c.create),
		"create": h.Patch(t.Context(), 0, r, open, failCreate),
		"write":  h.Patch(t.Context(), 0, r, open, failWrite),
	} {
		if !errors.Is(err, errTest) {
			t.Errorf("%s: want its error, got %v", name, err)
		}
	}
	if len(c.good) != 0 || len(c.bad) != 1 {
		t.Errorf("%d good outputs and %d given up, want 0 and 1", len(c.good), len(c.bad))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Patch(ctx, 0, r, open, c.create); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: got %v", err)
	}
}

func TestPatchSkipsBlobs(t *testing.T) {
	pack, old, new := pair(Options{}, t)
	h := readHead(t, pack)
	f := &h.Frames[0]
	if len(f.New) != len(new) {
		t.Fatalf("first frame makes %d blobs, want %d", len(f.New), len(new))
	}
	c := &collector{good: map[Ref][]byte{}, bad: map[Ref]error{}}
	err := h.Patch(t.Context(), 0, io.NewSectionReader(bytes.NewReader(pack), f.Offset, f.Size),
		func(i int) (File, error) { return old[i].Open() },
		func(r Ref) (Output, error) {
			if r != f.New[2] {
				return nil, nil
			}
			return c.create(r)
		})
	if err != nil || len(c.good) != 1 {
		t.Errorf("got %d outputs and error %v, want one", len(c.good), err)
	}
}

// countedFile counts how often it is open and read.
type countedFile struct {
	File
	n *counts
}

type counts struct {
	sync.Mutex
	open, most, reads int
}

func (c countedFile) ReadAt(p []byte, at int64) (int, error) {
	c.n.Lock()
	c.n.reads++
	c.n.Unlock()
	return c.File.ReadAt(p, at)
}

func (c countedFile) Close() error {
	c.n.Lock()
	c.n.open--
	c.n.Unlock()
	return c.File.Close()
}

func TestPatchOpensFewFilesAndReadsBlocks(t *testing.T) {
	notRacing(t)
	var old, new [][]byte
	for i := range 200 {
		b := program(uint64(i), 4000)
		old, new = append(old, b), append(new, edit(uint64(i), b, 10))
	}
	blobs := memBlobs(old...)
	pack, _ := writePack(t, blobs, memBlobs(new...), Options{})
	h := readHead(t, pack)
	byRef := map[Ref]Blob{}
	for _, b := range blobs {
		byRef[b.Ref] = b
	}
	var n counts
	_, err := patchWith(pack, h, func(i int) (File, error) {
		n.Lock()
		defer n.Unlock()
		n.open++
		n.most = max(n.most, n.open)
		f, err := byRef[h.Old[i]].Open()
		return countedFile{f, &n}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n.open != 0 || n.most > maxOpen || n.reads > 2*len(old) {
		t.Errorf("%d files left open, %d at once, %d reads; want 0, at most %d, at most %d",
			n.open, n.most, n.reads, maxOpen, 2*len(old))
	}
}

func TestPatchInParallel(t *testing.T) {
	var old, new [][]byte
	for i := range 4 {
		b := program(uint64(i), smallBlob+10_000)
		old, new = append(old, b), append(new, edit(uint64(i), b, 30))
	}
	blobs := memBlobs(old...)
	pack, _ := writePack(t, blobs, memBlobs(new...), Options{})
	h := readHead(t, pack)
	c := &collector{good: map[Ref][]byte{}, bad: map[Ref]error{}}
	var wg sync.WaitGroup
	for i, f := range h.Frames {
		wg.Go(func() {
			r := io.NewSectionReader(bytes.NewReader(pack), f.Offset, f.Size)
			if err := h.Patch(context.Background(), i, r, func(i int) (File, error) { return blobs[i].Open() }, c.create); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(c.good) != len(new) {
		t.Errorf("%d blobs made, want %d", len(c.good), len(new))
	}
}

type discard struct{ io.Writer }

func (discard) Finish(err error) error { return err }

// Patching must not hold content: what it allocates stays under the promised
// bound, and does not grow with the content once windows and tables are full.
func TestPatchMemoryIsBounded(t *testing.T) {
	notRacing(t)
	const small, large = 10 << 20, 20 << 20
	old := memBlobs(noise(1, large))
	// Enough residuals to fill the largest tables, behind a place to start from.
	dense := func(n int) []byte {
		b := noise(1, n)
		copy(b[64<<10:], every(b[64<<10:1<<20], 4))
		return b
	}
	for name, tt := range map[string]struct {
		level Level
		new   func(n int) []byte
	}{
		"plain covers": {Fast, func(n int) []byte { return every(noise(1, n), 100) }},
		"plain extra":  {Fast, func(n int) []byte { return noise(2, n) }},
		"mixed":        {Small, dense},
	} {
		one, two := patchAllocates(t, old, tt.new(small), tt.level), patchAllocates(t, old, tt.new(large), tt.level)
		if two > 64<<20 || two > one+4<<20 {
			t.Errorf("%s: patch allocated %d bytes for 10 MiB, %d for 20 MiB", name, one, two)
		}
	}
}

// The worst that a frame may ask for: the largest tables, as many covers and
// extra bytes as may be mixed, and prediction, beside the buffers and pages of
// a patcher and the windows of the columns that are open meanwhile.
func TestWorstSectionFitsItsBound(t *testing.T) {
	covers := make([]cover, maxMixedCovers)
	for i := range covers { // each over the next, so that regions are most
		covers[i] = cover{old: 10 * (i * 7919 % maxMixedCovers), new: 100 * i, n: 5 + i%90}
	}
	control := 2 * (3 * colSkip.window())
	pages := maxPages * pageSize
	layout, old := worstLayout(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	list := append(make([]cover, 0, len(covers)), covers...)
	modules, err := readModules(layout, old, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newPredictor(modules, nil, old, nil); err != nil {
		t.Fatal(err)
	}
	m := newMixedCoder(decoderOf(nil), codingInvalid-1, maxTables, maxMixedExtra)
	m.predictor = worstPredictor(t, list)
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(m)
	runtime.KeepAlive(modules)
	if got := int(after.TotalAlloc-before.TotalAlloc) + control + pages; got > 64<<20 {
		t.Errorf("a section may take %d bytes, want at most 64 MiB", got)
	} else {
		t.Logf("a section may take %d bytes", got)
	}
}

// patchAllocates returns all that a patch allocates, which is at least its peak.
func patchAllocates(t *testing.T, old []Blob, new []byte, l Level) uint64 {
	pack, _ := writePack(t, old, memBlobs(new), Options{Level: l})
	h := readHead(t, pack)
	f := &h.Frames[0]
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := h.Patch(t.Context(), 0, io.NewSectionReader(bytes.NewReader(pack), f.Offset, f.Size),
		func(int) (File, error) { return old[0].Open() },
		func(Ref) (Output, error) { return discard{io.Discard}, nil })
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	return after.TotalAlloc - before.TotalAlloc
}

// A frame that claims to make more or less than it does.
func TestBombs(t *testing.T) {
	for codec, o := range codecs {
		a := program(1, 30_000)
		old, new := memBlobs(a), memBlobs(edit(1, a, 20))
		pack, _ := writePack(t, old, new, o)
		for _, size := range []int64{0, 1, new[0].Size - 1, new[0].Size + 1, 1 << 39} {
			h := readHead(t, pack)
			h.Frames[0].New[0].Size = size
			if _, err := patchAll(pack, h, old); err == nil {
				t.Errorf("%s: want an error for size %d", codec, size)
			}
		}
	}
}

// frameOf returns a head for one frame with any bytes.
func frameOf(kind Kind, payload []byte, old []byte, size int64) *Head {
	h := &Head{
		Old:    []Ref{memBlob("", old).Ref},
		Frames: []Frame{{Ref: memBlob("", payload).Ref, Kind: kind, New: []Ref{{Size: size}}}},
	}
	if kind != KindFull {
		h.Frames[0].Old = []int{0}
	}
	return h
}

func fuzzFrame(f *testing.F, kind Kind, o Options) {
	old := program(1, 3000)
	for _, new := range [][]byte{edit(1, old, 9), old[:50], noise(2, 100), append(noise(3, 200), old...)} {
		pack, _ := writePack(f, memBlobs(old), memBlobs(new), o)
		h := readHead(f, pack)
		if h.Frames[0].Kind == kind {
			f.Add(pack[h.Size:], len(new))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		if size < 0 || size > 1<<20 {
			return
		}
		h := frameOf(kind, b, old, int64(size))
		n := 0
		h.Patch(t.Context(), 0, bytes.NewReader(b),
			func(int) (File, error) { return memBlob("", old).Open() },
			func(Ref) (Output, error) { return discard{writerFunc(func(p []byte) { n += len(p) })}, nil })
		if n > size {
			t.Errorf("%d bytes written, want at most %d", n, size)
		}
	})
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func FuzzNativeFrame(f *testing.F)   { fuzzFrame(f, KindNative, Options{}) }
func FuzzBalancedFrame(f *testing.F) { fuzzFrame(f, KindNative, Options{Level: Balanced}) }
func FuzzPlainFrame(f *testing.F)    { fuzzFrame(f, KindNative, Options{Level: Fast}) }
func FuzzFullFrame(f *testing.F)     { fuzzFrame(f, KindFull, Options{}) }
func FuzzBSDIFF40(f *testing.F)      { fuzzFrame(f, KindBSDIFF40, Options{Codec: BSDIFF40}) }
