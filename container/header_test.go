package container

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// headerOf writes the header of a dynamic block with such code lengths, each
// told for itself: no compressor does it so.
func headerOf(lengths *codeLengths) []byte {
	var runs []run
	for _, n := range append(slices.Clone(lengths.lit[:litSymbols]), lengths.dist[:distSymbols]...) {
		runs = append(runs, run{sym: n})
	}
	var codes [19]uint8
	for n := range 16 {
		codes[n] = 4
	}
	var w bitWriter
	putRuns(&w, litSymbols, distSymbols, &codes, runs)
	w.put(0, 7)
	return w.out
}

// Code lengths that no known compressor makes are kept as they are.
func TestKeptCodeLengths(t *testing.T) {
	content := text(1, 3000)
	lengths := fixedLengths()
	header := headerOf(lengths)
	side := append([]byte{1, flagFinal | dynamic<<flagKind | headerRaw<<flagHeader | flagRest}, header...)
	want := form("\x02", segmentOf(string(append(side, 0)), string(content)), "\x00\x00\x00")
	var stream bytes.Buffer
	if err := Repack(t.Context(), &stream, bytes.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	got := wantRoundTrip(t, gzipMember(stream.Bytes(), string(content)))
	if !bytes.Contains(got, want[len(magic):len(want)-1]) {
		t.Error("the stream has another form than that which it was made of")
	}
}

// What is written of code lengths is read again, and takes as many bits.
func TestHeaderBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := &counts{}
		n.lit[endOfBlock] = 1
		for range rapid.IntRange(0, 60).Draw(t, "symbols") {
			n.lit[rapid.IntRange(0, litSymbols-1).Draw(t, "literal or length")] += rapid.Uint32Range(1, 5000).Draw(t, "often")
		}
		for range rapid.IntRange(0, 20).Draw(t, "distances") {
			n.dist[rapid.IntRange(0, distSymbols-1).Draw(t, "distance")] += rapid.Uint32Range(1, 5000).Draw(t, "often")
		}
		for _, maker := range []int{headerZlib, headerGo} {
			var made, raw bitWriter
			want := makeHeader(maker, n, &made)
			bits := 8*len(made.out) + int(made.n)
			made.put(0, 7)
			in := &bitReader{buf: made.out}
			var got codeLengths
			if err := got.read(in, &raw); err != nil {
				t.Fatal(err)
			}
			if got != *want || int(in.pos()) != bits {
				t.Fatalf("maker %d: %d bits are read of %d, or other lengths", maker, in.pos(), bits)
			}
			if raw.put(0, 7); !bytes.Equal(raw.out, made.out) {
				t.Fatalf("maker %d: the bits that were read are others", maker)
			}
			for sym, often := range n.lit {
				if often > 0 && got.lit[sym] == 0 {
					t.Fatalf("maker %d: symbol %d has no code", maker, sym)
				}
			}
		}
	})
}

// Headers that say nonsense are refused.
func TestBadHeaders(t *testing.T) {
	bits := func(list ...[2]uint64) []byte { // value, bits
		var w bitWriter
		for _, v := range list {
			w.put(v[0], uint(v[1]))
		}
		w.put(0, 7)
		return append(w.out, make([]byte, 400)...)
	}
	one := [2]uint64{1, 3}
	for name, b := range map[string][]byte{
		"287 literals":         bits([2]uint64{30, 5}, [2]uint64{0, 5}, [2]uint64{15, 4}),
		"31 distances":         bits([2]uint64{0, 5}, [2]uint64{30, 5}, [2]uint64{15, 4}),
		"too many short codes": bits([2]uint64{0, 5}, [2]uint64{0, 5}, [2]uint64{0, 4}, one, one, one, one),
		"repeat of nothing":    bits([2]uint64{0, 5}, [2]uint64{0, 5}, [2]uint64{0, 4}, one, [2]uint64{0, 9}, [2]uint64{0, 3}),
		"no codes at all":      bits([2]uint64{0, 5}, [2]uint64{0, 5}, [2]uint64{0, 4}, [2]uint64{0, 12}),
		"zeros beyond the end": bits([2]uint64{0, 5}, [2]uint64{0, 5}, [2]uint64{0, 4}, [2]uint64{0, 6}, one, [2]uint64{0, 3}, [2]uint64{0, 1}, [2]uint64{127, 7}, [2]uint64{0, 1}, [2]uint64{127, 7}, [2]uint64{0, 1}, [2]uint64{127, 7}),
	} {
		var raw bitWriter
		if err := new(codeLengths).read(&bitReader{buf: b}, &raw); !errors.Is(err, errBadBlock) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
