package container

import (
	"bytes"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestDeepIsPlain wants both searches to find the same, but for the few that a
// bound on their work cuts off.
func TestDeepIsPlain(t *testing.T) {
	for id, m := range matchers {
		if m.greedy || m.chain < 256 {
			continue
		}
		content := append(text(1, 90_000), bytes.Repeat([]byte("abcabd"), 3000)...)
		content = append(content, text(1, 40_000)...)
		deep, plain := newPredictor(), newPredictor()
		deep.begin(id)
		plain.begin(id)
		plain.deep = false
		if !deep.deep {
			t.Fatalf("matcher %d is not deep", id)
		}
		deep.segment(content, 0)
		plain.segment(content, 0)
		differ, n := 0, 0
		for pos := 0; pos < len(content); n++ {
			token := plain.predict(pos)
			if deep.predict(pos) != token {
				differ++
			}
			plain.accept(pos, token, true)
			deep.accept(pos, token, deep.next.pos == plain.next.pos)
			pos += token.length()
		}
		if differ > n/10_000 {
			t.Errorf("matcher %d: %d of %d tokens differ", id, differ, n)
		}
	}
}

// TestSlide wants a predictor whose places are moved down to go on as before.
func TestSlide(t *testing.T) {
	content := text(2, 200_000)
	for id := range matchers {
		predict := func(p *predictor) (tokens []token) {
			buf, history := content[:100_000], 0
			for range 2 {
				p.segment(buf, history)
				for pos := history; pos < len(buf); pos += tokens[len(tokens)-1].length() {
					token := p.predict(pos)
					p.accept(pos, token, true)
					tokens = append(tokens, token)
				}
				buf, history = content[100_000-window:], window
			}
			return tokens
		}
		near, far := newPredictor(), newPredictor()
		near.begin(id)
		far.top = slideAt - ring - 50_000
		far.begin(id)
		if !slices.Equal(predict(near), predict(far)) {
			t.Errorf("matcher %d: tokens differ", id)
		}
		if far.top > slideAt {
			t.Errorf("matcher %d: places were not moved", id)
		}
	}
}

// TestCodes wants both makers to give complete codes that are as good as each
// other, with no length above the limit.
func TestCodes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		often := make([]uint32, rapid.IntRange(2, litSymbols).Draw(r, "symbols"))
		for i := range often {
			// Powers of two make deep trees, which must be cut.
			often[i] = uint32(1) << rapid.IntRange(0, 20).Draw(r, "often") / 2
		}
		longest := max(bits.Len(uint(len(often))), rapid.IntRange(7, 15).Draw(r, "longest"))
		var zlib, golang [litSymbols]uint8
		zlibTree(often, longest, zlib[:len(often)])
		packageMerge(often, longest, golang[:len(often)])
		costs := [2]uint64{}
		for k, lengths := range [][]uint8{zlib[:], golang[:]} {
			sum := 0
			for i, n := range often {
				if int(lengths[i]) > longest || n > 0 && lengths[i] == 0 {
					r.Fatalf("code %d: length %d, want at most %d", k, lengths[i], longest)
				}
				if lengths[i] > 0 {
					sum += 1 << (15 - lengths[i])
				}
				costs[k] += uint64(n) * uint64(lengths[i])
			}
			if used := slices.IndexFunc(often, func(n uint32) bool { return n > 0 }); used >= 0 && sum > 1<<15 {
				r.Fatalf("code %d is over-subscribed", k)
			}
		}
		if costs[1] > costs[0] {
			r.Fatalf("package merge needs %d bits, the heap %d", costs[1], costs[0])
		}
	})
}

// TestAdler wants the combined Adler-32 to be that of the whole.
func TestAdler(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		b := noise(rapid.Uint64().Draw(r, "seed"), rapid.IntRange(0, 70_000).Draw(r, "size"))
		cut := rapid.IntRange(0, len(b)).Draw(r, "cut")
		if got, want := adlerUpdate(adlerUpdate(1, b[:cut]), b[cut:]), adlerUpdate(1, b); got != want {
			r.Fatalf("got %08x, want %08x", got, want)
		}
	})
}
