package delta

import (
	"bufio"
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func decoderOf(b []byte) *arith { return newDecoder(bufio.NewReader(bytes.NewReader(b))) }

func TestArithRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type coded struct {
			bit int
			p   uint32
		}
		list := rapid.SliceOf(rapid.Custom(func(t *rapid.T) coded {
			return coded{rapid.IntRange(0, 1).Draw(t, "bit"), rapid.SampledFrom([]uint32{1, 2, 100, 1 << 15, 65_000, 65_535}).Draw(t, "p")}
		})).Draw(t, "bits")
		e := newEncoder()
		for _, c := range list {
			e.bit(c.bit, c.p)
		}
		b := e.finish()
		d := decoderOf(b)
		for i, c := range list {
			if got := d.bit(0, c.p); got != c.bit {
				t.Fatalf("bit %d of %d: got %d, want %d", i, len(list), got, c.bit)
			}
		}
		if err := d.end(); err != nil {
			t.Fatal(err)
		}
		if d = decoderOf(append(b, 1, 2, 3, 4, 5)); d.end() == nil {
			t.Fatal("more bytes behind the code: want an error")
		}
	})
}

func TestArithFindsTheEnd(t *testing.T) {
	e := newEncoder()
	for i := range 10_000 {
		e.bit(i%2, 1<<15)
	}
	b := e.finish()
	if len(b) > 1252 {
		t.Errorf("10,000 even bits take %d bytes", len(b))
	}
	d := decoderOf(b[:len(b)/2])
	for range 10_000 {
		d.bit(0, 1<<15)
	}
	if d.overrun() == nil {
		t.Error("a cut code: want an error")
	}
}

// The tables must be what their comments say, and the same on all machines.
func TestMixTables(t *testing.T) {
	m := tables()
	for i, got := range m.squash {
		x := min(max(i-4096, -maxStretch), maxStretch)
		want := 65536 / (1 + math.Exp(-float64(x)/256))
		if diff := math.Abs(float64(got) - want); diff > 1+want*0.04 && diff > 1+(65536-want)*0.04 {
			t.Fatalf("squash(%d) = %d, want about %.1f", x, got, want)
		}
	}
	if !slices.IsSorted(m.squash[:]) || !slices.IsSorted(m.stretch[:]) {
		t.Error("tables do not rise")
	}
	if m.stretch[2048] < -40 || m.stretch[2048] > 40 {
		t.Errorf("stretch(1/2) = %d, want about 0", m.stretch[2048])
	}
	sum := uint64(0)
	for i, v := range m.squash {
		sum = sum*31 + uint64(v) + uint64(i)
	}
	for _, v := range m.stretch {
		sum = sum*31 + uint64(int64(v))
	}
	if sum != wantTables {
		t.Errorf("checksum of the tables is %#x, want %#x: packs made before cannot be read", sum, uint64(wantTables))
	}
}

// wantTables is the checksum of the tables of the first version.
const wantTables = 0xca67d724b3bc76bf

func TestMixModelLearns(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	bits := make([]int, 20_000)
	for i := range bits {
		if bits[i] = i / 3 % 2; r.IntN(50) == 0 {
			bits[i] ^= 1
		}
	}
	run := func(a *arith, check func(i, bit int)) {
		m := newBitModel(2, 250, 12)
		for i, b := range bits {
			c := [bitInputs]uint32{hash2(uint32(i%6), 0), hash2(uint32(i%4), 1)}
			check(i, m.code(a, b, &c, i%2))
		}
	}
	e := newEncoder()
	run(e, func(int, int) {})
	b := e.finish()
	if len(b) > 20_000/8/5 {
		t.Errorf("bits with 2%% noise take %d bytes", len(b))
	}
	run(decoderOf(b), func(i, bit int) {
		if bit != bits[i] {
			t.Fatalf("bit %d is wrong", i)
		}
	})
}

func TestHostileBitsDoNotBreakTheMixer(t *testing.T) {
	m := newBitModel(1, 1023, 2)
	a := decoderOf(nil)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 300_000 {
		// Long certainty, then the opposite, drives the weights far.
		a.code = 0
		if i%1000 > 990 {
			a.code = r.Uint32()
		}
		a.low, a.high = 0, math.MaxUint32
		c := [bitInputs]uint32{r.Uint32(), 0, uint32(i) << 30}
		m.code(a, 0, &c, 0)
	}
}

// codeCover codes one cover both ways and returns the length of the code.
func codeCover(t testing.TB, old, pred, new []byte) int {
	t.Helper()
	run := func(a *arith, new []byte) {
		m := newResidualModel(14)
		for from := 0; from < len(new); from += windowSize {
			to := min(from+windowSize, len(new))
			lo := max(0, from-windowMargin)
			w := window{old: old[lo:], base: from - lo, pred: pred[from:to], new: new[from:to], class: make([]byte, to-from)}
			for at := 0; at < to-from; at += blockSize {
				m.codeBlock(a, &w, at, min(at+blockSize, to-from))
			}
		}
	}
	e := newEncoder()
	run(e, slices.Clone(new))
	b := e.finish()
	got := make([]byte, len(new))
	d := decoderOf(b)
	run(d, got)
	if !bytes.Equal(got, new) {
		t.Fatalf("got something else, first at %d of %d", matchLen(got, new), len(new))
	}
	if err := d.end(); err != nil {
		t.Fatal(err)
	}
	return len(b)
}

func TestResidualModel(t *testing.T) {
	old := program(1, 200_000)
	moved := slices.Clone(old) // every call goes 1,000 bytes further
	for i := 0; i+5 < len(old); i++ {
		if old[i] == 0xE8 {
			v := uint32(old[i+1]) | uint32(old[i+2])<<8
			v += 1000
			moved[i+1], moved[i+2] = byte(v), byte(v>>8)
			i += 4
		}
	}
	for name, tt := range map[string]struct {
		new  []byte
		most int
	}{
		"same":        {old, 20},
		"one byte":    {append(slices.Clone(old[:100_000]), append([]byte{7}, old[100_001:]...)...), 60},
		"calls moved": {moved, 9_000},
		"all changed": {every(old, 1), 4_000},
		"short":       {every(old, 1)[:3], 10},
		"empty":       {nil, 0},
	} {
		if got := codeCover(t, old[:len(tt.new)], old[:len(tt.new)], tt.new); got > tt.most {
			t.Errorf("%s: takes %d bytes, want at most %d", name, got, tt.most)
		}
	}
	// Prediction moves what differs, and must not be mixed up with old.
	if got := codeCover(t, old, moved, moved); got > 20 {
		t.Errorf("all predicted: takes %d bytes, want at most 20", got)
	}
}

func TestResidualModelRandom(t *testing.T) {
	notRacing(t)
	rapid.Check(t, func(rt *rapid.T) {
		old := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 1, 0xE8}), 0, 5000).Draw(rt, "old")
		change := func(name string, b []byte) []byte {
			b = slices.Clone(b)
			if len(b) > 0 {
				for range rapid.IntRange(0, 40).Draw(rt, name) {
					b[rapid.IntRange(0, len(b)-1).Draw(rt, "at")] = rapid.Byte().Draw(rt, "to")
				}
			}
			return b
		}
		codeCover(t, old, change("predicted", old), change("changes", old))
	})
}

func TestExtraModel(t *testing.T) {
	text := bytes.Repeat([]byte("func (m *model) next(b byte) error { return m.err }\n"), 40)
	for name, tt := range map[string]struct {
		new, was []byte
		most     int
	}{
		"empty":       {nil, nil, 0},
		"noise":       {noise(1, 5_000), nil, 5_150},
		"repeats":     {text, nil, 120},
		"like old":    {every(text, 100), text, 150},
		"old is less": {text, text[:10], 130},
	} {
		e := newEncoder()
		newExtraModel(len(tt.new)).code(e, slices.Clone(tt.new), tt.was, 0)
		b := e.finish()
		if len(b) > tt.most {
			t.Errorf("%s: takes %d bytes, want at most %d", name, len(b), tt.most)
		}
		got := make([]byte, len(tt.new))
		newExtraModel(len(tt.new)).code(decoderOf(b), got, tt.was, 0)
		if !bytes.Equal(got, tt.new) {
			t.Errorf("%s: got something else", name)
		}
	}
}

func TestFillFindsTables(t *testing.T) {
	// A table of rising offsets, all changed, with an entry added in the middle.
	table := func(n, add, extra int) (b []byte) {
		for i := range n {
			v := i*48 + add
			if i > n/2 {
				v += extra
			}
			b = append(b, byte(v), byte(v>>8), byte(v>>16), 0, byte(i*7), byte(i*7>>8), 1, 2)
		}
		return b
	}
	frame := noise(1, 400)
	old := slices.Concat(frame[:200], table(3000, 0, 0), frame[200:])
	new := slices.Concat(frame[:200], table(3001, 5, 9), frame[200:])
	covers := findCovers(t, old, new, nil, 1)
	if got := checkCovers(t, covers, len(old), len(new)); got < len(new)*9/10 {
		t.Errorf("%d of %d bytes are covered", got, len(new))
	}
}

func BenchmarkBitModel(b *testing.B) {
	m := newBitModel(16, 120, 18)
	e := newEncoder()
	b.SetBytes(1) // a bit
	for i := 0; b.Loop(); i++ {
		h := uint32(i) * 0x9E3779B1
		c := [bitInputs]uint32{h, h << 3, h << 5, h << 7, h << 9, h << 11}
		m.code(e, i>>4&1, &c, i&15)
	}
}
