package delta

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/treegraft-dev/treegraft/manifest"
	"pgregory.net/rapid"
)

// memBlob returns a blob with the given content.
func memBlob(name string, b []byte) Blob {
	return Blob{
		Name: name,
		Ref:  Ref{Digest: manifest.Sum(b), Size: int64(len(b))},
		Open: func() (File, error) { return unclosed{bytes.NewReader(b)}, nil },
	}
}

func memBlobs(contents ...[]byte) (list []Blob) {
	for i, b := range contents {
		list = append(list, memBlob(fmt.Sprintf("dir%d/file%d", i%3, i), b))
	}
	return list
}

// writePack returns a pack and its report.
func writePack(t testing.TB, old, new []Blob, o Options) ([]byte, *Report) {
	t.Helper()
	var buf bytes.Buffer
	r, err := WritePack(t.Context(), &buf, old, new, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Size != int64(buf.Len()) || r.Head.Digest != manifest.Sum(buf.Bytes()[:r.Head.Size]) {
		t.Fatalf("report says size %d, head %v; pack has %d bytes", r.Size, r.Head, buf.Len())
	}
	if len(r.Blobs) != len(new) {
		t.Fatalf("report has %d blobs, want %d", len(r.Blobs), len(new))
	}
	return buf.Bytes(), r
}

func readHead(t testing.TB, pack []byte) *Head {
	t.Helper()
	h, err := ReadHead(bytes.NewReader(pack), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if h.PackSize() != int64(len(pack)) {
		t.Fatalf("head says %d bytes, pack has %d", h.PackSize(), len(pack))
	}
	return h
}

// A collector takes the outputs of Patch. It fails a test that breaks their
// contract.
type collector struct {
	mu   sync.Mutex
	good map[Ref][]byte
	bad  map[Ref]error
}

type collected struct {
	bytes.Buffer
	c    *collector
	ref  Ref
	done bool
}

func (c *collector) create(r Ref) (Output, error) { return &collected{c: c, ref: r}, nil }

func (o *collected) Finish(err error) error {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	if o.done {
		panic("Finish called twice")
	}
	o.done = true
	if err != nil {
		o.c.bad[o.ref] = err
		return nil
	}
	if got := manifest.Sum(o.Bytes()); got != o.ref.Digest || int64(o.Len()) != o.ref.Size {
		panic(fmt.Sprintf("Finish(nil) for %d bytes of digest %v, want %v", o.Len(), got, o.ref))
	}
	o.c.good[o.ref] = o.Bytes()
	return nil
}

// patchAll patches all frames and returns the new blobs it made.
func patchAll(pack []byte, h *Head, old []Blob) (*collector, error) {
	byRef := map[Ref]Blob{}
	for _, b := range old {
		byRef[b.Ref] = b
	}
	return patchWith(pack, h, func(i int) (File, error) { return byRef[h.Blob(i)].Open() })
}

// patchWith patches all frames in order. What they made they can read.
func patchWith(pack []byte, h *Head, open func(int) (File, error)) (*collector, error) {
	c := &collector{good: map[Ref][]byte{}, bad: map[Ref]error{}}
	old := open
	open = func(i int) (File, error) {
		if i < len(h.Old) {
			return old(i)
		}
		if b, ok := c.good[h.Blob(i)]; ok {
			return memBlob("", b).Open()
		}
		return nil, fs.ErrNotExist
	}
	for i, f := range h.Frames {
		r := io.NewSectionReader(bytes.NewReader(pack), f.Offset, f.Size)
		if err := h.Patch(context.Background(), i, r, open, c.create); err != nil {
			return c, err
		}
	}
	return c, nil
}

// checkRoundTrip makes a pack and patches it, and returns both.
func checkRoundTrip(t testing.TB, old, new []Blob, o Options) ([]byte, *Report) {
	t.Helper()
	pack, rep := writePack(t, old, new, o)
	c, err := patchAll(pack, readHead(t, pack), old)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range new {
		if _, ok := c.good[b.Ref]; !ok {
			t.Fatalf("patch did not make %s (%d bytes)", b.Name, b.Size)
		}
	}
	for _, b := range rep.Blobs {
		if b.Why == errOther.Error() {
			t.Errorf("%s is stored in full: %s", b.Name, b.Why)
		}
	}
	return pack, rep
}

// noise returns n bytes that do not compress.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), 1})
	r.Read(b)
	return b
}

// program returns bytes that look like machine code: many short patterns,
// among them calls with addresses that depend on where they stand.
func program(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, 0, n+16)
	for len(b) < n {
		switch r.IntN(4) {
		case 0: // call rel32
			to := int32(r.IntN(64)*n/64) - int32(len(b))
			b = append(b, 0xE8, byte(to), byte(to>>8), byte(to>>16), byte(to>>24))
		case 1:
			b = append(b, 0x48, 0x8B, byte(r.IntN(8)<<3|5), byte(r.IntN(256)), byte(r.IntN(16)), 0, 0)
		default:
			b = append(b, 0x48, 0x89, byte(r.IntN(32)), 0x0F, byte(r.IntN(256)))
		}
	}
	return b[:n]
}

// edit returns b with n changes: bytes replaced, inserted, cut, moved.
func edit(seed uint64, b []byte, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 11))
	b = slices.Clone(b)
	for range n {
		if len(b) < 64 {
			break
		}
		at := r.IntN(len(b) - 32)
		switch size := 1 + r.IntN(31); r.IntN(4) {
		case 0:
			b[at] ^= byte(1 + r.IntN(255))
		case 1:
			b = slices.Insert(b, at, noise(r.Uint64(), size)...)
		case 2:
			b = slices.Delete(b, at, at+size)
		case 3:
			part := slices.Clone(b[at : at+size])
			b = slices.Delete(b, at, at+size)
			b = slices.Insert(b, r.IntN(len(b)), part...)
		}
	}
	return b
}

var codecs = map[string]Options{
	"native":   {},
	"balanced": {Level: Balanced},
	"fast":     {Level: Fast},
	"bsdiff40": {Codec: BSDIFF40},
}

func TestRoundTripShapes(t *testing.T) {
	notRacing(t)
	big := program(1, 300_000)
	shapes := map[string]struct{ old, new [][]byte }{
		"nothing":           {nil, nil},
		"nothing old":       {nil, [][]byte{big}},
		"nothing new":       {[][]byte{big}, nil},
		"empty files":       {[][]byte{{}}, [][]byte{{}}},
		"empty old":         {[][]byte{{}}, [][]byte{big}},
		"empty new":         {[][]byte{big}, [][]byte{{}}},
		"one byte":          {[][]byte{{1}}, [][]byte{{2}}},
		"seven bytes":       {[][]byte{[]byte("seventh")}, [][]byte{[]byte("Seventh")}},
		"same":              {[][]byte{big}, [][]byte{big}},
		"edited":            {[][]byte{big}, [][]byte{edit(1, big, 50)}},
		"cut short":         {[][]byte{big}, [][]byte{big[:1000]}},
		"cut at front":      {[][]byte{big}, [][]byte{big[100_001:]}},
		"longer":            {[][]byte{big[:1000]}, [][]byte{big}},
		"twice":             {[][]byte{big}, [][]byte{append(slices.Clone(big), big...)}},
		"halves swapped":    {[][]byte{big}, [][]byte{append(slices.Clone(big[150_000:]), big[:150_000]...)}},
		"every 9th changed": {[][]byte{big}, [][]byte{every(big, 9)}},
		"every changed":     {[][]byte{big}, [][]byte{every(big, 1)}},
		"merged":            {[][]byte{big[:99_999], {}, big[99_999:]}, [][]byte{big}},
		"split":             {[][]byte{big}, [][]byte{big[:7], {}, big[7:99_999], big[99_999:]}},
		"nothing alike":     {[][]byte{noise(1, 5000)}, [][]byte{noise(2, 5000)}},
		"zeros":             {[][]byte{make([]byte, 100_000)}, [][]byte{make([]byte, 200_000)}},
		"old twice":         {[][]byte{big, big}, [][]byte{edit(2, big, 3)}},
		"new twice":         {[][]byte{big}, [][]byte{edit(2, big, 3), edit(2, big, 3)}},
		"over stretches":    {[][]byte{noise(3, 2*stretch)}, [][]byte{edit(3, noise(3, 2*stretch), 20)}},
	}
	for name, s := range shapes {
		for codec, o := range codecs {
			if codec == "bsdiff40" && name == "over stretches" {
				continue // nothing new, but seconds of suffix sorting
			}
			t.Run(name+"/"+codec, func(t *testing.T) {
				checkRoundTrip(t, memBlobs(s.old...), memBlobs(s.new...), o)
			})
		}
	}
}

func every(b []byte, n int) []byte {
	b = slices.Clone(b)
	for i := 0; i < len(b); i += n {
		b[i] += 3
	}
	return b
}

func TestRoundTripRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var old, new [][]byte
		for i := range rapid.IntRange(0, 4).Draw(rt, "old") {
			size := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(0, 70_000)).Draw(rt, "size")
			b := program(rapid.Uint64Range(0, 3).Draw(rt, "kind"), size)
			old = append(old, edit(uint64(i), b, rapid.IntRange(0, 3).Draw(rt, "edits")))
		}
		for i := range rapid.IntRange(0, 5).Draw(rt, "new") {
			var b []byte
			for range rapid.IntRange(0, 3).Draw(rt, "parts") {
				if len(old) == 0 || rapid.Bool().Draw(rt, "own") {
					b = append(b, noise(uint64(i), rapid.IntRange(0, 300).Draw(rt, "length"))...)
					continue
				}
				from := rapid.SampledFrom(old).Draw(rt, "from")
				cut := rapid.IntRange(0, len(from)).Draw(rt, "cut")
				b = append(b, from[cut:]...)
			}
			new = append(new, edit(uint64(i+9), b, rapid.IntRange(0, 20).Draw(rt, "changes")))
		}
		o := Options{
			Codec:   rapid.SampledFrom([]Codec{Native, Native, BSDIFF40}).Draw(rt, "codec"),
			Level:   rapid.SampledFrom([]Level{Small, Fast}).Draw(rt, "level"),
			Workers: rapid.IntRange(0, 3).Draw(rt, "workers"),
		}
		checkRoundTrip(t, memBlobs(old...), memBlobs(new...), o)
	})
}

func TestManyTinyFiles(t *testing.T) {
	const n = 10_000
	var old, new [][]byte
	for i := range n {
		old = append(old, fmt.Appendf(nil, "package p%d\n\nconst version = 1 // %x\n", i, i*i))
		new = append(new, fmt.Appendf(nil, "package p%d\n\nconst version = 2 // %x\n", i, i*i))
	}
	pack, rep := checkRoundTrip(t, memBlobs(old...), memBlobs(new...), Options{})
	frames := rep.Size - rep.Head.Size
	if most := int64(n * 12); frames > most {
		t.Errorf("frames of a %d byte pack take %d bytes, want at most %d", len(pack), frames, most)
	}
}

func TestSameBytesWhateverWorkers(t *testing.T) {
	var old, new [][]byte
	for i := range 12 {
		b := program(uint64(i), 40_000*(1+i%4))
		old, new = append(old, b), append(new, edit(uint64(i), b, 30))
	}
	long := program(99, 2*stretch+12345)
	old, new = append(old, long), append(new, edit(99, long, 200))
	for _, o := range []Options{{}, {Level: Fast}} {
		var first []byte
		for _, o.Workers = range []int{1, 2, 7} {
			pack, _ := writePack(t, memBlobs(old...), memBlobs(new...), o)
			if first == nil {
				first = pack
			}
			if !bytes.Equal(first, pack) {
				t.Errorf("level %d: pack of %d workers differs", o.Level, o.Workers)
			}
		}
	}
}

func TestSizesOfPacks(t *testing.T) {
	notRacing(t)
	base := program(5, 400_000)
	hidden := noise(6, 50_000)
	for _, tt := range []struct {
		name     string
		old, new []byte
		most     int64 // bytes of the frame
	}{
		{"same", base, base, 40},
		{"moved", base, append(slices.Clone(base[200_000:]), base[:200_000]...), 60},
		{"50 edits", base, edit(5, base, 50), 2_500},
		{"noise in front", base, append(slices.Clone(hidden), base...), 51_000},
		{"nothing alike", noise(7, 50_000), hidden, 50_050},
		{"every 40th changed", base, every(base, 40), 8_000},
	} {
		_, rep := checkRoundTrip(t, memBlobs(tt.old), memBlobs(tt.new), Options{})
		if got := rep.Size - rep.Head.Size; got > tt.most {
			t.Errorf("%s: frame takes %d bytes, want at most %d", tt.name, got, tt.most)
		}
	}
}

func TestMatchingCrossesFiles(t *testing.T) {
	a, b := noise(1, 60_000), noise(2, 60_000)
	old := []Blob{memBlob("src/a.js", a), memBlob("src/b.js", b)}
	new := []Blob{memBlob("dist/bundle-51ab.js", append(slices.Clone(b), a...))}
	_, rep := checkRoundTrip(t, old, new, Options{})
	if got := rep.Size - rep.Head.Size; got > 80 {
		t.Errorf("a merged file takes %d bytes, want at most 80", got)
	}
}

func TestNeverLargerThanFull(t *testing.T) {
	notRacing(t)
	text := bytes.Repeat([]byte("the same line again and again\n"), 20_000)
	for name, new := range map[string][]byte{"noise": noise(9, 90_000), "zeros": make([]byte, 1<<20), "text": text} {
		old := program(8, 90_000)
		for codec, o := range codecs {
			var object bytes.Buffer
			if _, _, err := WriteObject(t.Context(), &object, bytes.NewReader(new), o.Level); err != nil {
				t.Fatal(err)
			}
			_, rep := checkRoundTrip(t, memBlobs(old), memBlobs(new), o)
			if got := rep.Size - rep.Head.Size; got > int64(object.Len()) {
				t.Errorf("%s, %s: frame takes %d bytes, the object %d", name, codec, got, object.Len())
			}
			if b := rep.Blobs[0]; b.Kind == KindFull && b.Why == "" {
				t.Errorf("%s, %s: full content without a reason", name, codec)
			}
		}
	}
}

func TestAloneComesFirst(t *testing.T) {
	list := memBlobs(program(1, 5000), program(2, 5000), program(3, 2<<20))
	last := memBlob("manifest", []byte("the one that tells about the others"))
	last.Alone = true
	pack, rep := checkRoundTrip(t, list, append(list, last), Options{})
	h := readHead(t, pack)
	if f := h.Frames[0]; len(f.New) != 1 || f.New[0] != last.Ref {
		t.Errorf("first frame makes %v, want only %v", f.New, last.Ref)
	}
	if rep.Blobs[3].Frame != 0 {
		t.Errorf("report puts it in frame %d, want 0", rep.Blobs[3].Frame)
	}
}

func TestWritePackRefusesChangedFiles(t *testing.T) {
	good := memBlob("good", program(1, 5000))
	bad := memBlob("bad", program(2, 5000))
	bad.Digest[0] ^= 1
	short := memBlob("short", program(2, 5000))
	short.Size++
	for _, b := range []Blob{bad, short} {
		for codec, o := range codecs {
			if _, err := WritePack(t.Context(), io.Discard, []Blob{b}, []Blob{good}, o); err == nil && codec != "bsdiff40" {
				t.Errorf("%s: old %s was taken", codec, b.Name)
			}
			if _, err := WritePack(t.Context(), io.Discard, []Blob{good}, []Blob{b}, o); err == nil {
				t.Errorf("%s: new %s was taken", codec, b.Name)
			}
		}
	}
}

func TestWritePackStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	list := memBlobs(program(1, 3<<20), program(2, 3<<20), program(3, 3<<20))
	o := Options{Workers: 1, Events: func(Event) { cancel() }}
	_, err := WritePack(ctx, io.Discard, list, memBlobs(edit(1, program(1, 3<<20), 9), edit(2, program(2, 3<<20), 9), edit(3, program(3, 3<<20), 9)), o)
	if err == nil {
		t.Error("pack was written after its context had ended")
	}
}

func TestEvents(t *testing.T) {
	list := memBlobs(program(1, 2<<20), program(2, 2<<20), program(3, 20))
	var events []Event
	writePack(t, nil, list, Options{Events: func(e Event) { events = append(events, e) }})
	if want := int64(4<<20 + 20); len(events) != 3 || events[2] != (Event{Done: want, Total: want}) {
		t.Errorf("got events %v, want three up to %d", events, want)
	}
}
