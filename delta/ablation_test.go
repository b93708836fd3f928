package delta

import (
	"encoding/binary"
	"slices"
	"testing"
)

// What is left out makes no delta wrong, and where it matters a larger one.
func TestAblation(t *testing.T) {
	notRacing(t)
	was, is := calls(200, 0), calls(200, 100)
	for _, pair := range []struct {
		name     string
		old, new []byte
		without  ability
	}{
		{"code", was, is, codeRefs},
		{"container", zipped(t, text(2000, 0)), zipped(t, text(2000, 5)), containers},
		{"extra", was, slices.Concat(was, text(2000, 0)), extraMixing},
	} {
		with, _ := checkRoundTrip(t, memBlobs(pair.old), memBlobs(pair.new), Options{})
		less, _ := checkRoundTrip(t, memBlobs(pair.old), memBlobs(pair.new), Options{without: pair.without})
		if len(with) >= len(less) {
			t.Errorf("%s: %d bytes, and %d without the part that it is for", pair.name, len(with), len(less))
		}
	}
}

// calls makes raw x86 code of n blocks: noise, and a call of another block.
// So many bytes are inserted in the middle.
func calls(n, inserted int) []byte {
	const size = 300
	start := func(i int) int {
		if i < n/2 {
			return i * size
		}
		return i*size + inserted
	}
	code := noise(1, n*size)
	code = slices.Insert(code, n/2*size, noise(2, inserted)...)
	for i := range n {
		at := start(i)
		code[at] = 0xE8
		binary.LittleEndian.PutUint32(code[at+1:], uint32(start(i*37%n)-(at+5)))
	}
	return code
}
