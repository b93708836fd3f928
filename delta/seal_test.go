package delta

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"reflect"
	"slices"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/macho"
	"pgregory.net/rapid"
)

// sealed returns a program for macOS with a signature behind content: digests
// of its pages. The linker and codesign write such.
func sealed(content []byte) []byte {
	b := slices.Concat(make([]byte, 48), content)
	end := len(b)
	for i, v := range []uint32{0xfeedfacf, 0x0100000c, 0, 2, 1, 16, 0, 0, 0x1d, 16, uint32(end), 0} {
		binary.LittleEndian.PutUint32(b[4*i:], v)
	}
	pages := (end + 4095) / 4096
	for _, v := range []uint32{0xfade0cc0, 20, 1, 0, 20,
		0xfade0c02, uint32(88 + 32*pages), 0x20400, 0, 88, 0, 0, uint32(pages), uint32(end), 0x20020000 | 12, 0, 0, 0, 0, 0, 0} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	b = append(b, make([]byte, 24)...)
	for at := 0; at < end; at += 4096 {
		sum := sha256.Sum256(b[at:min(at+4096, end)])
		b = append(b, sum[:]...)
	}
	return b
}

// Digests of changed pages cost nothing, at all levels and in all places of a
// frame; wrong ones cost what they would without.
func TestDigestsOfPagesAreComputed(t *testing.T) {
	notRacing(t)
	content := noise(1, 400<<10)
	changed := bytes.Clone(content)
	for i := 0; i < len(changed); i += 4096 {
		changed[i] ^= 1
	}
	old, new := sealed(content), sealed(changed)
	for _, l := range []Level{Small, Balanced, Fast} {
		with, _ := checkRoundTrip(t, memBlobs(old), memBlobs(new), Options{Level: l})
		less, _ := checkRoundTrip(t, memBlobs(old), memBlobs(new), Options{Level: l, without: pageDigests})
		if saved := len(less) - len(with); saved < 95*32 {
			t.Errorf("level %v: %d bytes, and %d with digests stored", l, len(with), len(less))
		}
	}
	// Two files in one frame.
	both := memBlobs(new, sealed(changed[:300<<10]))
	with, _ := checkRoundTrip(t, memBlobs(old), both, Options{})
	less, _ := checkRoundTrip(t, memBlobs(old), both, Options{without: pageDigests})
	if saved := len(less) - len(with); saved < 95*32 {
		t.Errorf("two files: %d bytes, and %d with digests stored", len(with), len(less))
	}
	// Sections end inside of digests.
	content = noise(3, minMemory/8-30_000)
	pack, _ := checkRoundTrip(t, memBlobs(content), memBlobs(sealed(content)), Options{Memory: minMemory, Level: Fast})
	if len(pack) > 4000 {
		t.Errorf("two sections: %d bytes", len(pack))
	}
	// A digest that is wrong, and then all of them.
	broken := bytes.Clone(new)
	broken[len(broken)-40] ^= 0x55
	if pack, _ := checkRoundTrip(t, memBlobs(old), memBlobs(broken), Options{}); len(pack) > 2000 {
		t.Errorf("a wrong digest: %d bytes", len(pack))
	}
	copy(broken[len(broken)-100*32:], noise(2, 100*32))
	with, _ = checkRoundTrip(t, memBlobs(old), memBlobs(broken), Options{})
	less, _ = checkRoundTrip(t, memBlobs(old), memBlobs(broken), Options{without: pageDigests})
	if !bytes.Equal(with, less) {
		t.Errorf("wrong digests: %d bytes, and %d without computing them", len(with), len(less))
	}
}

// What is hidden is shown again, however the bytes come; and digests that are
// right are hidden as zeros.
func TestSealer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 3000, 6000).Draw(t, "content")
		list, right := drawSeals(t, b)
		if !sealsFit(list, int64(len(b))) {
			t.Fatalf("%+v do not fit", list)
		}
		got := bytes.Clone(b)
		pieces(t, got, newSealer(list).hide)
		for i, s := range list {
			if zero := !slices.ContainsFunc(got[s.At:s.End()], func(x byte) bool { return x != 0 }); zero != right[i] {
				t.Fatalf("seal %+v is hidden as %x", s, got[s.At:s.End()])
			}
		}
		pieces(t, got, newSealer(list).show)
		if !bytes.Equal(got, b) {
			t.Fatal("got other bytes back")
		}
	})
}

// pieces hands over bytes in parts of any size.
func pieces(t *rapid.T, b []byte, do func([]byte)) {
	for len(b) > 0 {
		n := rapid.IntRange(0, min(len(b), 1500)).Draw(t, "piece")
		if do(b[:n]); n == 0 {
			n = 1
			do(b[:n])
		}
		b = b[n:]
	}
}

// drawSeals puts right digests into b, and wrong ones.
func drawSeals(t *rapid.T, b []byte) (list []macho.Seal, right []bool) {
	at := int64(0)
	for range rapid.IntRange(0, 4).Draw(t, "seals") {
		s := macho.Seal{Page: rapid.UintRange(9, 11).Draw(t, "page"), Hash: macho.Hash(rapid.IntRange(1, 2).Draw(t, "hash"))}
		s.Size = rapid.Int64Range(1, 1500).Draw(t, "size")
		s.At = rapid.Int64Range(max(at, s.Size), max(at, s.Size)+300).Draw(t, "place")
		s.Start = rapid.Int64Range(0, s.At-s.Size).Draw(t, "start")
		if s.End() > int64(len(b)) {
			break
		}
		at = s.End()
		var sums []byte
		for from := s.Start; from < s.Start+s.Size; from += 1 << s.Page {
			h := sha256.New()
			if s.Hash == macho.SHA1 {
				h = sha1.New()
			}
			h.Write(b[from:min(from+1<<s.Page, s.Start+s.Size)])
			sums = h.Sum(sums)
		}
		ok := rapid.Bool().Draw(t, "right")
		if copy(b[s.At:], sums); !ok {
			b[s.At+rapid.Int64Range(0, int64(len(sums)-1)).Draw(t, "wrong")]++
		}
		list, right = append(list, s), append(right, ok)
	}
	return list, right
}

func TestSealsRoundTrip(t *testing.T) {
	want := []macho.Seal{
		{Start: 0, Size: 600, Page: 9, Hash: macho.SHA1, At: 700}, {Start: 10, Size: 700, Page: 12, Hash: macho.SHA256, At: 740}}
	b := appendSections(nil, goodSections(), want)
	b = append(b, frameBytes(goodSections())[len(appendSections(nil, goodSections(), nil)):]...)
	_, got, err := readSections(section0(b), 1500)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

// Seals that would cost more than a look at what a frame makes are refused.
func TestHostileSeals(t *testing.T) {
	const mib = 1 << 20
	good := macho.Seal{Size: 4096, Page: 12, Hash: macho.SHA256, At: 8192}
	for name, tt := range map[string]struct {
		size int64
		list []macho.Seal
	}{
		"unknown hash":        {mib, []macho.Seal{{Size: 4096, Page: 12, Hash: 3, At: 8192}}},
		"no hash":             {mib, []macho.Seal{{Size: 4096, Page: 12, At: 8192}}},
		"small pages":         {mib, []macho.Seal{{Size: 4096, Page: 8, Hash: macho.SHA256, At: 8192}}},
		"large pages":         {mib, []macho.Seal{{Size: 4096, Page: 25, Hash: macho.SHA256, At: 8192}}},
		"nothing sealed":      {mib, []macho.Seal{{Page: 12, Hash: macho.SHA256, At: 8192}}},
		"digests beyond":      {8192 + 31, []macho.Seal{good}},
		"sealed bytes beyond": {8192 + 32, []macho.Seal{{Size: 8193, Page: 14, Hash: macho.SHA256, At: 8193}}},
		"twice":               {mib, []macho.Seal{good, good}},
		"not in order":        {mib, []macho.Seal{{Size: 4096, Page: 12, Hash: macho.SHA256, At: 9000}, good}},
		"too many":            {mib, manySeals(maxSeals+1, 4096)},
		"too much to hash":    {mib, manySeals(5, mib/2)},
		"too many digests":    {512 * mib, []macho.Seal{{Size: 384 * mib, Page: 9, Hash: macho.SHA256, At: 384 * mib}}},
		"numbers that wrap":   {1<<62 - 1, []macho.Seal{{Size: 1<<62 - 1, Page: 24, Hash: macho.SHA256, At: 1<<62 - 1}}},
	} {
		r := &wireReader{what: "test", b: appendSeals(nil, tt.list)}
		if got := r.seals(tt.size); r.err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	r := &wireReader{what: "test", b: appendSeals(nil, []macho.Seal{good})}
	if got := r.seals(8192 + 32); r.err != nil || len(got) != 1 {
		t.Errorf("a good one: got %+v, %v", got, r.err)
	}
	b := appendSeals(nil, []macho.Seal{good})
	for n := 1; n < len(b); n++ {
		r := &wireReader{what: "test", b: b[:n]}
		if r.seals(mib); r.err == nil {
			t.Errorf("%d of %d bytes: want an error", n, len(b))
		}
	}
}

// manySeals returns seals of the same bytes, with digests behind each other.
func manySeals(n int, size int64) (list []macho.Seal) {
	at := size
	for range n {
		list = append(list, macho.Seal{Size: size, Page: 24, Hash: macho.SHA256, At: at})
		at += 32
	}
	return list
}
