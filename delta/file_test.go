package delta

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestPatchFile(t *testing.T) {
	a := program(1, 50_000)
	b := edit(1, a, 30)
	for codec, o := range codecs {
		pack, _ := writePack(t, memBlobs(a), memBlobs(b), o)
		var got bytes.Buffer
		if err := PatchFile(t.Context(), &got, section0(a), section0(pack)); err != nil {
			t.Errorf("%s: %v", codec, err)
		}
		if !bytes.Equal(got.Bytes(), b) {
			t.Errorf("%s: got something else", codec)
		}
	}
}

func TestPatchFileRefuses(t *testing.T) {
	a := program(1, 50_000)
	pack, _ := writePack(t, memBlobs(a), memBlobs(edit(1, a, 30)), Options{})
	two, _ := writePack(t, memBlobs(a), memBlobs(a[:9], a[:99]), Options{})
	flipped := slices.Clone(pack)
	flipped[len(pack)-9] ^= 2
	for name, tt := range map[string]struct{ old, delta []byte }{
		"empty":       {a, nil},
		"rubbish":     {a, noise(1, 1000)},
		"cut":         {a, pack[:len(pack)-1]},
		"cut in head": {a, pack[:50]},
		"more behind": {a, append(slices.Clone(pack), 0)},
		"flipped":     {a, flipped},
		"two files":   {a, two},
		"other old":   {edit(2, a, 1), pack},
		"old is cut":  {a[:100], pack},
	} {
		if err := PatchFile(t.Context(), &bytes.Buffer{}, section0(tt.old), section0(tt.delta)); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	var digest *DigestError
	if err := PatchFile(t.Context(), &bytes.Buffer{}, section0(edit(2, a, 1)), section0(pack)); !errors.As(err, &digest) {
		t.Errorf("other old: want a digest error, got %v", err)
	}
}
