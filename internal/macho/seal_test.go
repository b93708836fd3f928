package macho

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// right counts the digests of a seal that are right.
func right(file []byte, s Seal) (n int64) {
	for k := range s.Count() {
		page := file[s.Start+k<<s.Page : s.Start+min((k+1)<<s.Page, s.Size)]
		if sum := sha256.Sum256(page); bytes.Equal(sum[:], file[s.At+k*32:][:32]) {
			n++
		}
	}
	return n
}

// universal joins programs to one file, each at the start of a page.
func universal(programs ...[]byte) []byte {
	file := []byte(FatMagic)
	file = binary.BigEndian.AppendUint32(file, uint32(len(programs)))
	at := 4096
	for _, p := range programs {
		for _, v := range []int{0x0100000c, 0, at, len(p), 12} {
			file = binary.BigEndian.AppendUint32(file, uint32(v))
		}
		at += (len(p) + 4095) &^ 4095
	}
	for _, p := range programs {
		file = append(file, make([]byte, -len(file)&4095)...)
		file = append(file, p...)
	}
	return file
}

// build compiles a small program for macOS.
func build(t *testing.T, arch string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles programs")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { println(\"hello\") }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "go", "build", "-o", "program", "main.go")
	c.Dir = dir
	c.Env = append(os.Environ(), "GOOS=darwin", "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=")
	if b, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, b)
	}
	b, err := os.ReadFile(filepath.Join(dir, "program"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Go's linker signs programs for Macs with ARM64. All digests must be found,
// and be those of the pages.
func TestSealsOfPrograms(t *testing.T) {
	program := build(t, "arm64")
	list := Seals(bytes.NewReader(program), int64(len(program)))
	if len(list) != 1 || list[0].Hash != SHA256 || list[0].Start != 0 {
		t.Fatalf("got %+v, want one seal", list)
	}
	if n := right(program, list[0]); n != list[0].Count() || n < 100 {
		t.Errorf("%d of %d digests are right", n, list[0].Count())
	}
	both := universal(program, program)
	list = Seals(bytes.NewReader(both), int64(len(both)))
	if len(list) != 2 {
		t.Fatalf("a universal program: got %d seals, want 2", len(list))
	}
	for _, s := range list {
		if n := right(both, s); n != s.Count() {
			t.Errorf("seal of the program at %d: %d of %d digests are right", s.Start, n, s.Count())
		}
	}
	unsigned := build(t, "amd64")
	if list := Seals(bytes.NewReader(unsigned), int64(len(unsigned))); len(list) != 0 {
		t.Errorf("an unsigned program: got %+v", list)
	}
}

// signedProgram is a program for macOS that consists of a signature, but for so many
// bytes before it.
func signedProgram(before int) []byte {
	le, be := binary.LittleEndian, binary.BigEndian
	b := make([]byte, before)
	for i, v := range []uint32{0xfeedfacf, 0x0100000c, 0, 2, 1, 16, 0, 0, loadSignature, 16, uint32(before), 0} {
		le.PutUint32(b[4*i:], v)
	}
	pages := (before + 4095) / 4096
	for _, v := range []uint32{signatureMagic, 20, 1, 0, 20, // one part, at 20
		directoryMagic, uint32(88 + 32*pages), 0x20400, 0, 88, 0, 0, uint32(pages), uint32(before), 0x20020000 | 12, 0, 0, 0, 0, 0, 0} {
		b = be.AppendUint32(b, v)
	}
	b = append(b, make([]byte, 24)...)
	for at := 0; at < before; at += 4096 {
		sum := sha256.Sum256(b[at:min(at+4096, before)])
		b = append(b, sum[:]...)
	}
	return b
}

// What a signature says is believed only as far as it can be true.
func TestSealsOfBrokenFiles(t *testing.T) {
	const before = 10000
	whole := signedProgram(before)
	if list := Seals(bytes.NewReader(whole), int64(len(whole))); len(list) != 1 || right(whole, list[0]) != 3 {
		t.Fatalf("got %+v", list)
	}
	const part, directory = before + 12, before + 20
	put := func(at int, v uint32) func(b []byte) { return func(b []byte) { binary.BigEndian.PutUint32(b[at:], v) } }
	for name, edit := range map[string]func(b []byte){
		"signature out of the file":      func(b []byte) { binary.LittleEndian.PutUint32(b[40:], 1<<31) },
		"no signature there":             put(before, 1),
		"part out of the file":           put(part+4, 1<<31),
		"not a directory":                put(directory, 1),
		"digests out of the file":        put(directory+16, 1<<30),
		"too many digests":               put(directory+28, 4),
		"too few digests":                put(directory+28, 2),
		"nothing sealed":                 put(directory+32, 0),
		"digests inside what they seal":  put(directory+32, before+200),
		"unknown hash":                   func(b []byte) { b[directory+37] = 9 },
		"digests of another size":        func(b []byte) { b[directory+36] = 20 },
		"one page":                       func(b []byte) { b[directory+39] = 0 },
		"huge pages":                     func(b []byte) { b[directory+39] = 63 },
		"pages from all over the file":   put(directory+44, 100),
		"a limit of 64 bits that is far": put(directory+56, 1<<29),
		"end of the file":                nil,
	} {
		b := bytes.Clone(whole)
		if edit == nil {
			b = b[:len(b)-1]
		} else {
			edit(b)
		}
		if list := Seals(bytes.NewReader(b), int64(len(b))); len(list) != 0 {
			t.Errorf("%s: got %+v", name, list)
		}
	}
}

// Whatever a file says, seals are inside it, in order, and before their digests.
func FuzzSeals(f *testing.F) {
	f.Add(signedProgram(5000))
	f.Add(universal(signedProgram(100), signedProgram(9000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		end := int64(0)
		for _, s := range Seals(bytes.NewReader(b), int64(len(b))) {
			if s.Start < 0 || s.Size <= 0 || s.Start+s.Size > s.At || s.At < end || s.End() > int64(len(b)) || !s.Valid() {
				t.Fatalf("seal %+v behind %d of %d bytes", s, end, len(b))
			}
			end = s.End()
		}
	})
}

// Digests are those of the pages, however the bytes are cut that are written.
func TestPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 1, 3000).Draw(t, "bytes")
		s := Seal{Size: rapid.Int64Range(1, int64(len(b))).Draw(t, "size"), Page: rapid.UintRange(minPage, minPage+3).Draw(t, "page"),
			Hash: rapid.SampledFrom([]Hash{SHA1, SHA256}).Draw(t, "hash")}
		var want []byte
		for page := range slices.Chunk(b[:s.Size], 1<<s.Page) {
			if s.Hash == SHA1 {
				sum := sha1.Sum(page)
				want = append(want, sum[:]...)
			} else {
				sum := sha256.Sum256(page)
				want = append(want, sum[:]...)
			}
		}
		p := NewPages(s)
		for left := b; len(left) > 0; {
			n := rapid.IntRange(1, len(left)).Draw(t, "part")
			p.Write(left[:n])
			left = left[n:]
		}
		if !bytes.Equal(p.Sums(), want) || int64(len(want)) != s.End()-s.At {
			t.Fatalf("%d bytes of digests, want %d", len(p.Sums()), len(want))
		}
	})
}
