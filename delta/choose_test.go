package delta

import (
	"bytes"
	"slices"
	"testing"
)

// largeOld makes old blobs of which less than all fits in an arena.
func largeOld(n int) (contents [][]byte) {
	for i := range n {
		contents = append(contents, noise(uint64(i), 1<<20))
	}
	return contents
}

func TestChooseFindsWhatIsCommon(t *testing.T) {
	contents := largeOld(24)
	old := memBlobs(contents...)
	refs := make([]Ref, len(old))
	for i := range old {
		refs[i] = old[i].Ref
	}
	sp := newSpace(refs)
	k, err := newSketch(t.Context(), old, sp, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if len(k.samples)*sketchBytes > 2<<20 {
		t.Errorf("sketch has %d samples, want at most twice what was allowed", len(k.samples))
	}
	new := slices.Concat(contents[17][300_000:900_000], noise(77, 100_000), contents[3][500_000:])
	a, err := k.choose(t.Context(), old, sp, new, 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.old) > 4<<20 {
		t.Errorf("arena has %d bytes, want at most 4 MiB", len(a.old))
	}
	covers, err := a.covers(t.Context(), new, nil, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	covers = a.toOld(covers)
	if got := checkCovers(t, covers, int(sp.size()), len(new)); got < len(new)-110_000 {
		t.Errorf("%d of %d bytes are covered", got, len(new))
	}
	all := slices.Concat(contents...)
	for _, c := range covers {
		if equalBytes(all[c.old:c.old+c.n], new[c.new:c.new+c.n]) < c.n*9/10 {
			t.Errorf("cover %+v points at something else", c)
		}
	}
}

// With the least memory, old content of 24 MiB does not fit and new content is
// cut in sections.
func TestRoundTripWithLittleMemory(t *testing.T) {
	notRacing(t)
	contents := largeOld(20)
	one := slices.Concat(contents[5:15]...)
	new := memBlobs(
		edit(1, one, 20),
		slices.Concat(contents[19], contents[2], noise(99, 1000)),
		contents[7][:1000],
	)
	o := Options{Memory: 1, Level: Fast}
	pack, rep := checkRoundTrip(t, memBlobs(contents...), new, o)
	h := readHead(t, pack)
	list, _, err := readSections(section0(pack[h.Frames[0].Offset:][:h.Frames[0].Size]), new[0].Size)
	if err != nil || len(list) != 2 {
		t.Errorf("frame 0 has %d sections, want 2 (%v)", len(list), err)
	}
	if got := rep.Size - rep.Head.Size; got > 10_000 {
		t.Errorf("frames take %d bytes, want at most 10,000", got)
	}
	o.Workers = 5
	if again, _ := writePack(t, memBlobs(contents...), new, o); !bytes.Equal(pack, again) {
		t.Error("pack of 5 workers differs")
	}
}

func TestSketchRefusesChangedFiles(t *testing.T) {
	contents := largeOld(20)
	old := memBlobs(contents...)
	old[9].Digest[0] ^= 1
	if _, err := WritePack(t.Context(), &bytes.Buffer{}, old, memBlobs(contents[1]), Options{Memory: 1}); err == nil {
		t.Error("want an error")
	}
}

func TestSpool(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, limit := range []int{0, 10, 1000} {
		s := &spool{limit: limit}
		want := noise(1, 300)
		for i := 0; i < len(want); i += 30 {
			if _, err := s.Write(want[i : i+30]); err != nil {
				t.Fatal(err)
			}
		}
		var got bytes.Buffer
		if _, err := s.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), want) || s.size != 300 {
			t.Errorf("limit %d: got %d bytes, size %d, error %v", limit, got.Len(), s.size, err)
		}
		if (s.file != nil) != (limit < 300) {
			t.Errorf("limit %d: a file is used: %v", limit, s.file != nil)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}
