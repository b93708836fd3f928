package delta

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Learning, coding, and more bytes than the ring holds: a decoder must come to
// the same bytes, whatever the order.
func TestExtraModelRandom(t *testing.T) {
	type step struct {
		lesson   bool
		new, was []byte
	}
	bytesOf := rapid.SliceOfN(rapid.SampledFrom([]byte("ab_ \x00\xff")), 0, 200)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 300).Draw(t, "announced") // the ring may be small for what comes
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{rapid.Bool().Draw(t, "lesson"), bytesOf.Draw(t, "new"), bytesOf.Draw(t, "was")}
		}), 1, 8).Draw(t, "steps")
		run := func(a *arith, bytes func(step) []byte) {
			m, tail := newExtraModel(n), uint64(0)
			for _, s := range steps {
				if s.lesson {
					m.learn(s.new)
				} else {
					tail = m.code(a, bytes(s), s.was, tail)
				}
			}
		}
		e := newEncoder()
		run(e, func(s step) []byte { return slices.Clone(s.new) })
		d := decoderOf(e.finish())
		var got [][]byte
		run(d, func(s step) []byte {
			got = append(got, make([]byte, len(s.new)))
			return got[len(got)-1]
		})
		for _, s := range steps {
			if s.lesson {
				continue
			}
			if !bytes.Equal(got[0], s.new) {
				t.Fatalf("got %q, want %q", got[0], s.new)
			}
			got = got[1:]
		}
		if err := d.end(); err != nil {
			t.Fatal(err)
		}
	})
}

// What comes again is found as long as the ring has it, also where it wraps.
func TestExtraRing(t *testing.T) {
	const announced = 100 // a ring of 256 bytes
	for _, tt := range []struct{ period, least, most int }{
		{60, 0, 700},        // many times around
		{250, 0, 900},       // nearly the whole ring
		{5000, 4000, 11000}, // more than it holds
	} {
		part := noise(uint64(tt.period), tt.period)
		e := newEncoder()
		newExtraModel(announced).code(e, bytes.Repeat(part, 10_000/tt.period), nil, 0)
		if got := len(e.finish()); got < tt.least || got > tt.most {
			t.Errorf("10,000 bytes that repeat every %d take %d, want %d to %d", tt.period, got, tt.least, tt.most)
		}
	}
	if got := len(newExtraModel(maxMixedExtra).seen); got != extraHistory {
		t.Errorf("the largest ring has %d bytes, want %d", got, extraHistory)
	}
}

// A lesson makes what is like it short, and leaves no word or match behind.
func TestExtraLearn(t *testing.T) {
	lesson := []byte("the quick brown fox jumps over the lazy dog, and the dog sleeps on")
	cost := func(lesson []byte) int {
		m, e := newExtraModel(1000), newEncoder()
		m.learn(lesson)
		if m.length != 0 || m.word != 0 {
			t.Errorf("after %q, a match of %d and the word %#x go on", lesson, m.length, m.word)
		}
		m.code(e, []byte("the lazy fox sleeps, and the brown dog jumps over the quick dog"), nil, 0)
		return len(e.finish())
	}
	if with, without := cost(lesson), cost(nil); with > without*4/5 {
		t.Errorf("%d bytes after a lesson, %d without", with, without)
	}
}

// What stands in old, place by place, tells what stands in new.
func TestExtraSeesWhatWas(t *testing.T) {
	was := noise(1, 4000)
	new := make([]byte, len(was))
	for i := range was {
		was[i] &= 7
		new[i] = 0x40 + was[i]*31
	}
	cost := func(was []byte) int {
		e := newEncoder()
		newExtraModel(len(new)).code(e, slices.Clone(new), was, 0)
		return len(e.finish())
	}
	if with, without := cost(was), cost(nil); with > without/2 {
		t.Errorf("%d bytes with what was, %d without", with, without)
	}
}

// Whatever the bits say, bytes come out until the bits end.
func TestHostileExtra(t *testing.T) {
	for seed, stream := range [][]byte{nil, noise(1, 2000), bytes.Repeat([]byte{0}, 2000), bytes.Repeat([]byte{255}, 2000)} {
		m, a := newExtraModel(10_000), decoderOf(stream)
		new := make([]byte, 10_000)
		tail := m.code(a, new[:5000], noise(2, 100), 0)
		m.learn(noise(3, 1000))
		m.code(a, new[5000:], nil, tail)
		if len(stream) < 1000 && a.overrun() == nil {
			t.Errorf("stream %d: %d bytes made of %d, and no error", seed, len(new), len(stream))
		}
	}
}

func BenchmarkExtraModel(b *testing.B) {
	content := text(2000, 0)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		newExtraModel(len(content)).code(newEncoder(), slices.Clone(content), nil, 0)
	}
}
