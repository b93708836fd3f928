package delta

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/treegraft-dev/treegraft/manifest"
)

// TestAloneIsMadeFromAlone offers a blob that stands alone the very same
// content under another one that does not: it must not use that.
func TestAloneIsMadeFromAlone(t *testing.T) {
	text := func(n int) (b []byte) {
		for i := range n {
			b = fmt.Appendf(b, "line %d of %x\n", i, manifest.Sum(fmt.Append(nil, i)))
		}
		return b
	}
	blob := func(b []byte, alone bool) Blob {
		return Blob{Name: "x", Ref: Ref{Digest: manifest.Sum(b), Size: int64(len(b))}, Alone: alone,
			Open: func() (File, error) { return aloneFile{bytes.NewReader(b)}, nil }}
	}
	all := text(1000)
	half := append(slices.Clone(all[:len(all)/2]), "and an end"...)
	old := []Blob{blob(all[10:], false), blob(half, true), blob(all[20:], false)}
	for _, codec := range []Codec{Native, BSDIFF40} {
		var b bytes.Buffer
		if _, err := WritePack(t.Context(), &b, old, []Blob{blob(all, true), blob(all[5:], false)}, Options{Codec: codec}); err != nil {
			t.Fatal(err)
		}
		h, err := ReadHead(bytes.NewReader(b.Bytes()), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Frames[0].Old; !slices.Equal(got, []int{1}) {
			t.Errorf("codec %d: the first frame reads old blobs %v, want only 1", codec, got)
		}
		var out aloneOutput
		f := h.Frames[0]
		err = h.Patch(t.Context(), 0, bytes.NewReader(b.Bytes()[f.Offset:f.Offset+f.Size]),
			func(i int) (File, error) { return old[i].Open() }, func(Ref) (Output, error) { return &out, nil })
		if err != nil || !bytes.Equal(out.Bytes(), all) {
			t.Errorf("codec %d: made %d bytes, want %d: %v", codec, out.Len(), len(all), err)
		}
	}
}

type aloneFile struct{ *bytes.Reader }

func (aloneFile) Close() error { return nil }

type aloneOutput struct{ bytes.Buffer }

func (*aloneOutput) Finish(err error) error { return err }
