package docs

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"go/build"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/treegraft-dev/treegraft/delta"
)

// FORMAT.md is enough to write another patcher. This is one: it is written from
// the text, in its words and its order, and shares no code with package delta.
// It is as slow as it is short, and trusts its input.

// wire reads numbers.
type wire struct{ b []byte }

func (w *wire) varint() int {
	v, n := binary.Uvarint(w.b)
	w.b = w.b[n:]
	return int(v)
}

func (w *wire) zigzag() uint64 {
	v, n := binary.Varint(w.b)
	w.b = w.b[n:]
	return uint64(v)
}

func (w *wire) take(n int) []byte {
	b := w.b[:n]
	w.b = w.b[n:]
	return b
}

// Columns.
const (
	layout = iota
	skip
	length
	jump
	zeros
	run
	value
	mixed
	extra
)

type cover struct{ old, new, n int }

// section is one of a native frame, with its columns unpacked.
type section struct {
	size, covers, coding, tables int
	raw, stored                  [9]int
	cols                         [9]wire

	old    []byte
	starts []int // of the blobs in old, and the end
	out    []byte
}

// patch makes the new bytes of a native frame.
func patch(t *testing.T, frame, old []byte, starts []int) (out []byte) {
	t.Helper()
	w := &wire{frame}
	head := &wire{w.take(w.varint())}
	list := make([]*section, head.varint())
	for i := range list {
		s := &section{old: old, starts: starts, size: head.varint(), covers: head.varint(), coding: head.varint()}
		if s.coding == 1 || s.coding == 3 {
			s.tables = head.varint()
		}
		present := head.varint()
		for c := range s.cols {
			if present>>c&1 == 1 {
				s.raw[c], s.stored[c] = head.varint(), head.varint()
			}
		}
		list[i] = s
	}
	for _, part := range [][2]int{{layout, zeros}, {zeros, extra + 1}} {
		for _, s := range list {
			for c := part[0]; c < part[1]; c++ {
				s.cols[c].b = w.take(s.stored[c])
				if s.stored[c] != s.raw[c] {
					s.cols[c].b = unzstd(t, s.cols[c].b)
				}
			}
		}
	}
	for _, s := range list {
		out = append(out, s.patch()...)
		for c, col := range s.cols {
			if len(col.b) > 0 && c != mixed {
				t.Errorf("%d bytes of column %s are left over", len(col.b), columns[c])
			}
		}
	}
	if len(w.b) > 0 {
		t.Errorf("%d bytes are left over", len(w.b))
	}
	for len(head.b) > 0 {
		unseal(head, out)
	}
	return out
}

// unseal reads a seal, and adds the digests that it tells of.
func unseal(w *wire, out []byte) {
	kind, page := w.take(1)[0], 1<<w.take(1)[0]
	start, size := w.varint(), w.varint()
	at := start + size + w.varint()
	for from := 0; from < size; from += page {
		b := out[start+from : start+min(from+page, size)]
		sum := sha256.Sum256(b)
		digest := sum[:]
		if kind == 1 {
			sum := sha1.Sum(b)
			digest = sum[:]
		}
		for i, d := range digest {
			out[at+i] += d
		}
		at += len(digest)
	}
}

func unzstd(t *testing.T, b []byte) []byte {
	t.Helper()
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if b, err = d.DecodeAll(b, nil); err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *section) patch() []byte {
	var covers []cover
	oldEnd, newEnd := 0, 0
	extras := s.size
	for range s.covers {
		c := cover{new: newEnd + s.cols[skip].varint(), n: s.cols[length].varint(), old: oldEnd + int(s.cols[jump].zigzag())}
		covers = append(covers, c)
		oldEnd, newEnd = c.old+c.n, c.new+c.n
		extras -= c.n
	}
	var refs *references
	var rm *residualModel
	var xm *extraModel
	if s.coding != 0 {
		refs = newReferences(&s.cols[layout], s.old, s.starts, covers)
	}
	if s.coding&1 != 0 {
		rm = newResidualModel(newCoder(s.cols[mixed].b), s.tables)
	}
	if s.coding == 3 {
		xm = newExtraModel(rm.coder, s, extras, covers)
	}
	plain := residuals{s: s}
	gap := func(n, oldEnd int) {
		if xm != nil {
			xm.gap(n, oldEnd)
		} else {
			s.out = append(s.out, s.cols[extra].take(n)...)
		}
	}
	oldEnd = 0
	for _, c := range covers {
		gap(c.new-len(s.out), oldEnd)
		if refs != nil {
			refs.tell(s.out)
		}
		for from := 0; from < c.n; from += 65536 {
			v := &view{old: s.old, c: c, from: from, n: min(c.n-from, 65536)}
			v.pred = bytes.Clone(s.old[c.old+from : c.old+from+v.n])
			v.class = make([]byte, v.n)
			s.window(v, refs, rm, &plain)
			if refs != nil {
				refs.tell(s.out)
			}
		}
		oldEnd = c.old + c.n
	}
	gap(s.size-len(s.out), oldEnd)
	return s.out
}

// window makes the bytes of a window.
func (s *section) window(v *view, refs *references, rm *residualModel, plain *residuals) {
	start := len(s.out)
	if rm != nil && rm.unchanged() {
		rm.skip(v.n)
		s.out = append(s.out, v.pred...)
		return
	}
	if refs != nil {
		refs.start(v)
	}
	for from := 0; from < v.n; from += 1024 {
		to := min(from+1024, v.n)
		if refs != nil {
			refs.predict(v, from, to)
		}
		if rm != nil {
			v.new = append(v.new, rm.block(v, from, to)...)
		} else {
			for i := from; i < to; i++ {
				v.new = append(v.new, v.pred[i]+plain.next())
			}
		}
		if refs != nil {
			refs.learn(v, to)
		}
	}
	s.out = append(s.out[:start], v.new...)
}

// residuals are those of the columns zeros, run and value.
type residuals struct {
	s         *section
	zeros, is int
}

func (r *residuals) next() byte {
	for r.zeros+r.is == 0 {
		r.zeros, r.is = r.s.cols[zeros].varint(), r.s.cols[run].varint()
	}
	if r.zeros > 0 {
		r.zeros--
		return 0
	}
	r.is--
	return r.s.cols[value].take(1)[0]
}

// view is a window: a part of a cover.
type view struct {
	old        []byte
	c          cover
	from, n    int
	pred, new  []byte
	class      []byte
	guesses    []guess
	m          *module
	here       uint64
	mapped     bool
	homeOld    uint64 // old address of the first byte
	homeMapped bool
}

// first is the first place of the context, and last the end of it.
func (v *view) first() int { return -min(8, v.from) }
func (v *view) last() int  { return min(v.n+8, v.c.n-v.from) }

func (v *view) o(i int) uint32 {
	if i < v.first() || i >= v.last() {
		return 0
	}
	return uint32(v.old[v.c.old+v.from+i])
}

func (v *view) p(i, last int) uint32 { return uint32(v.pred[min(i, last)]) }

// A pair is old blobs and a new one.
type pair struct {
	old []string
	new string
}

// words is text in which hardly a line is like another.
func words(seed uint64, lines int) []string {
	r := rand.New(rand.NewPCG(seed, 1))
	list := make([]string, lines)
	for i := range list {
		for range 3 + r.IntN(9) {
			list[i] += []string{"lorem", "ipsum", "dolor_sit", "$amet", "42", "if", "func"}[r.IntN(7)] + strings.Repeat(" ", r.IntN(3))
		}
		list[i] += "\n"
	}
	return list
}

// texts are two old ones, and a new one of parts of both, with edits, and more
// that is new than fits in a window.
func texts() pair {
	a, b, c := words(1, 1500), words(2, 1500), words(3, 2500)
	now := slices.Concat(b[:700], a[200:], c, b[700:], words(4, 3))
	for i := 0; i < len(now); i += 23 {
		now[i] = strings.Replace(now[i], "lorem", "Lorem", 1)
	}
	return pair{[]string{strings.Join(a, ""), strings.Join(b, "")}, strings.Join(now, "")}
}

// programs builds one for Go's name of a system, before and after a change.
func programs(t *testing.T, system, flags string) pair {
	t.Helper()
	folder := t.TempDir()
	goos, goarch, _ := strings.Cut(system, "/")
	make := func(body string) string {
		source := "package main\nimport (\"os\"; \"strconv\")\nfunc main() { os.Stdout.WriteString(strconv.Itoa(len(os.Args)) + " + body + ") }\n"
		if err := os.WriteFile(filepath.Join(folder, "main.go"), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), filepath.Join(build.Default.GOROOT, "bin", "go"), "build", "-trimpath", "-ldflags="+flags, "-o", "main", "main.go")
		cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
		return built(t, cmd, folder)
	}
	return pair{[]string{make(`"hello"`)}, make(`strconv.Quote(os.Args[0])`)}
}

// nativePrograms does the same with the C compiler, where there is one.
func nativePrograms(t *testing.T, debug string) pair {
	t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("cc is not installed")
	}
	folder := t.TempDir()
	make := func(more string) string {
		source := "#include <stdio.h>\n"
		for i := range 300 {
			if i == 100 {
				source += more
			}
			source += fmt.Sprintf("int f%d(int x) { char b[%d]; snprintf(b, sizeof b, \"%%d is %d\", x); return puts(b); }\n", i, 20+i, i)
		}
		source += "int (*table[])(int) = {"
		for i := range 300 {
			source += fmt.Sprintf("f%d,", i)
		}
		if err := os.WriteFile(filepath.Join(folder, "main.c"), []byte(source+"};\nint main(int n, char **v) { return table[n](n); }\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return built(t, exec.CommandContext(t.Context(), compiler, "-O1", debug, "-fpie", "-pie", "-o", "main", "main.c"), folder)
	}
	return pair{[]string{make("")}, make("int g(int x) { return puts(\"more\") + x; }\n")}
}

func built(t *testing.T, cmd *exec.Cmd, folder string) string {
	t.Helper()
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("build a program: %v\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(folder, "main"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The patcher written from FORMAT.md must make what the project's own makes.
func TestSecondPatcher(t *testing.T) {
	if racing {
		t.Skip("left to runs without the race detector")
	}
	for _, tt := range []struct {
		name  string
		level delta.Level
		pair  func(*testing.T) pair
	}{
		{"text small", delta.Small, func(*testing.T) pair { return texts() }},
		{"text balanced", delta.Balanced, func(*testing.T) pair { return texts() }},
		{"text fast", delta.Fast, func(*testing.T) pair { return texts() }},
		{"linux/amd64", delta.Small, func(t *testing.T) pair { return programs(t, "linux/amd64", "-w") }},
		{"linux/amd64 balanced", delta.Balanced, func(t *testing.T) pair { return programs(t, "linux/amd64", "-w") }},
		{"darwin/arm64", delta.Small, func(t *testing.T) pair { return programs(t, "darwin/arm64", "-w") }},
		{"windows/amd64", delta.Small, func(t *testing.T) pair { return programs(t, "windows/amd64", "-w") }},
		{"linux/arm64 with debug sections", delta.Small, func(t *testing.T) pair { return programs(t, "linux/arm64", "-compressdwarf=false") }},
		{"windows/amd64 with debug sections", delta.Small, func(t *testing.T) pair { return programs(t, "windows/amd64", "-compressdwarf=false") }},
		{"darwin/arm64 with debug sections", delta.Small, func(t *testing.T) pair { return programs(t, "darwin/arm64", "-compressdwarf=false") }},
		{"cc", delta.Small, func(t *testing.T) pair { return nativePrograms(t, "-g0") }},
		{"cc with debug sections", delta.Small, func(t *testing.T) pair { return nativePrograms(t, "-g") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.pair(t)
			frame, old, starts := frameOf(t, p, tt.level)
			got := string(patch(t, frame, old, starts))
			for i := range min(len(got), len(p.new)) {
				if got[i] != p.new[i] {
					t.Fatalf("byte %d differs", i)
				}
			}
			if len(got) != len(p.new) {
				t.Errorf("got %d bytes, want %d", len(got), len(p.new))
			}
		})
	}
}

// frameOf makes a pack of one native frame, and returns it with what it reads.
func frameOf(t *testing.T, p pair, level delta.Level) (frame, old []byte, starts []int) {
	t.Helper()
	var blobs []delta.Blob
	for _, o := range p.old {
		blobs = append(blobs, blob(o))
	}
	var pack bytes.Buffer
	if _, err := delta.WritePack(t.Context(), &pack, blobs, []delta.Blob{blob(p.new)}, delta.Options{Level: level}); err != nil {
		t.Fatal(err)
	}
	b := pack.Bytes()
	head, err := delta.ReadHead(&pack, delta.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	f := &head.Frames[0]
	if f.Kind != delta.KindNative {
		t.Fatalf("the frame is of kind %d", f.Kind)
	}
	for _, i := range f.Old {
		starts = append(starts, len(old))
		old = append(old, p.old[i]...)
	}
	return b[f.Offset:][:f.Size], old, append(starts, len(old))
}
