// Package docs tests that the documents say what the code does.
package docs

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/container"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
)

var update = flag.Bool("update", false, "write the worked examples into FORMAT.md")

// example is the release of all worked examples.
func example() *manifest.Manifest {
	file := func(path string, mode fs.FileMode, content string) manifest.Entry {
		return manifest.Entry{Path: path, Mode: mode, Size: int64(len(content)), Digest: manifest.Sum([]byte(content))}
	}
	return &manifest.Manifest{
		Release: manifest.Release{Product: "hello", Version: "1.1.0", Sequence: 2, Platform: "any"},
		Entries: []manifest.Entry{
			file("bin/app", 0o755, "#!/bin/sh\necho hello\n"),
			{Path: "bin/hello", Kind: manifest.Symlink, Link: "app"},
			file("greeting", 0o644, "hello\n"),
		},
	}
}

func TestFormatExamples(t *testing.T) {
	doc, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(doc)
	for _, e := range []struct {
		name string
		make func(*testing.T) string
	}{
		{"listing", listingExample},
		{"index", indexExample},
		{"manifest", manifestExample},
		{"objects", objectsExample},
		{"head", headExample},
		{"native", nativeExample},
		{"form", formExample},
	} {
		marker := "<!-- made by format_test.go: " + e.name + " -->\n```\n"
		before, rest, ok := strings.Cut(text, marker)
		old, after, ended := strings.Cut(rest, "```\n")
		if !ok || !ended {
			t.Fatalf("FORMAT.md has no block %q", e.name)
		}
		want := e.make(t)
		if old != want && !*update {
			t.Errorf("FORMAT.md, block %s:\n%s\nbut it is (write it with -update):\n%s", e.name, old, want)
		}
		text = before + marker + want + "```\n" + after
	}
	if *update {
		if err := os.WriteFile("FORMAT.md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func canonical(t *testing.T) []byte {
	t.Helper()
	b, err := example().Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func listingExample(t *testing.T) string {
	b := canonical(t)
	l := manifest.Listing{Product: "hello", Version: "1.1.0", Sequence: 2, Platform: "any", Channels: []string{"stable"},
		Severity: manifest.Security, Size: int64(len(b)), Digest: manifest.Sum(b)}
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.ParseListing(text); err != nil {
		t.Fatal(err)
	}
	return wrap(text)
}

func indexExample(t *testing.T) string {
	head := manifest.Sum([]byte("head"))
	from := &manifest.Release{Product: "hello", Version: "1.0.0", Platform: "any"}
	x := manifest.Index{
		Product: "hello", Version: "1.1.0", Platform: "any",
		Packs: []manifest.Pack{{From: "1.0.0", FromDigest: manifest.Sum([]byte("old manifest")),
			Name: manifest.PackName(from, &example().Release, head), Size: 700, HeadSize: 200, HeadDigest: head}},
		Objects: manifest.ObjectsFile{Size: int64(len(objects(t))), Digest: manifest.Sum(objects(t))},
	}
	b, err := x.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return wrap(b)
}

// wrap breaks JSON at commas, so that it can be read here.
func wrap(b []byte) string { return strings.ReplaceAll(string(b), ",", ",\n ") + "\n" }

// dump takes bytes apart as FORMAT.md describes them, by code of its own.
type dump struct {
	t   *testing.T
	b   []byte
	at  int
	out bytes.Buffer
}

// take writes the next n bytes in lines of 16, with what they mean.
func (d *dump) take(n int, meaning string, args ...any) []byte {
	d.t.Helper()
	if n > len(d.b)-d.at {
		d.t.Fatalf("%s: %d bytes wanted, %d left", meaning, n, len(d.b)-d.at)
	}
	b := d.b[d.at : d.at+n]
	text := fmt.Sprintf(meaning, args...)
	for i := 0; i < n; i += 16 {
		fmt.Fprintln(&d.out, strings.TrimRight(fmt.Sprintf("%04x  %-47s  %s", d.at+i, fmt.Sprintf("% x", b[i:min(i+16, n)]), text), " "))
		text = ""
	}
	d.at += n
	return b
}

// varint writes a number; meaning has a verb for it.
func (d *dump) varint(meaning string) int {
	d.t.Helper()
	v, n := binary.Uvarint(d.b[d.at:])
	if n <= 0 {
		d.t.Fatalf("%s: no number at %d", meaning, d.at)
	}
	d.take(n, meaning, v)
	return int(v)
}

// text writes a length and so many bytes.
func (d *dump) text(what string) string {
	n := d.varint(what + " of %d bytes")
	return string(d.take(n, "%s", printable(d.b[d.at:], n)))
}

func printable(b []byte, n int) string { return fmt.Sprintf("%q", b[:min(n, len(b), 40)]) }

func (d *dump) end() string {
	d.t.Helper()
	if d.at != len(d.b) {
		d.t.Fatalf("%d bytes are left over", len(d.b)-d.at)
	}
	return d.out.String()
}

func manifestExample(t *testing.T) string {
	d := &dump{t: t, b: canonical(t)}
	d.take(21, `"treegraft manifest 1\n"`)
	n := d.varint("facts of %d bytes")
	facts := d.take(n, "compact JSON, which reads:")
	fmt.Fprintf(&d.out, "      %s\n", facts)
	begin := d.at
	path := ""
	for range d.varint("%d entries") {
		kind := d.take(1, "%s", kindOf(d.b[d.at]))[0]
		shared := d.varint("path shares %d bytes with the one before")
		path = path[:shared] + d.text("rest of the path,")
		switch kind & 15 {
		case 0:
			d.varint("mode %#o")
			d.varint("size %d")
			d.take(32, "digest of the content")
		case 1:
			d.varint("mode %#o")
		case 2:
			d.text("points to a path")
		}
	}
	tree := manifest.Sum(d.b[begin:d.at])
	if got := d.take(32, "tree digest, of %d bytes from %04x", d.at-begin, begin); manifest.Digest(got) != tree {
		t.Errorf("tree digest: got %x, want %v", got, tree)
	}
	return d.end()
}

func kindOf(tag byte) string {
	return fmt.Sprintf("%v, config rule %d", manifest.Kind(tag&15), tag>>4)
}

func objects(t *testing.T) []byte {
	t.Helper()
	m := example()
	b, err := manifest.EncodeObjects(m, manifest.Objects{
		m.Entries[0].Digest: {Size: 34, Digest: manifest.Sum([]byte("bin/app, stored"))},
		m.Entries[2].Digest: {Size: 19, Digest: manifest.Sum([]byte("greeting, stored"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func objectsExample(t *testing.T) string {
	d := &dump{t: t, b: objects(t)}
	for _, e := range []manifest.Entry{example().Entries[2], example().Entries[0]} { // in order of digests
		if d.varint("%d bytes stored, of the content "+e.Digest.String()[:8]+"… of "+e.Path) > 0 {
			d.take(32, "their digest")
		}
	}
	return d.end()
}

func blob(content string) delta.Blob {
	return delta.Blob{
		Ref:  delta.Ref{Digest: manifest.Sum([]byte(content)), Size: int64(len(content))},
		Open: func() (delta.File, error) { return memory{strings.NewReader(content)}, nil },
	}
}

type memory struct{ *strings.Reader }

func (memory) Close() error { return nil }

func headExample(t *testing.T) string {
	var pack bytes.Buffer
	report, err := delta.WritePack(t.Context(), &pack, []delta.Blob{blob("hello\n")}, []delta.Blob{blob("hello, world\n")}, delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := &dump{t: t, b: pack.Bytes()[:report.Head.Size]}
	d.take(8, `"tgpack1\n"`)
	d.take(4, "the head has %d bytes", binary.LittleEndian.Uint32(d.b[8:]))
	for range d.varint("%d old blob") {
		d.ref("the old blob has %d bytes", manifest.Sum([]byte("hello\n")))
	}
	var size int
	for range d.varint("%d frame") {
		d.take(1, "kind")
		size = d.ref("the frame has %d bytes", manifest.Sum(pack.Bytes()[report.Head.Size:]))
		for range d.varint("%d runs of old blobs") {
			d.varint("gap %d")
			d.varint("length %d")
		}
		for range d.varint("%d new blob") {
			d.ref("the new blob has %d bytes", manifest.Sum([]byte("hello, world\n")))
		}
	}
	if got := pack.Len() - len(d.b); got != size {
		t.Errorf("behind the head are %d bytes, want one frame of %d", got, size)
	}
	return d.end()
}

// columns are those of a native frame, in their order.
var columns = []string{"layout", "skip", "length", "jump", "zeros", "run", "value", "mixed", "extra"}

func nativeExample(t *testing.T) string {
	old := "alpha 0x1001: first entry of the list\nbeta 0x1002: second entry of it\nomega 0x1003: the last of them all\n"
	new := strings.Replace(old, "0x1002", "0x2b02", 1) + "and one more\n"
	var pack bytes.Buffer
	report, err := delta.WritePack(t.Context(), &pack, []delta.Blob{blob(old)}, []delta.Blob{blob(new)}, delta.Options{Level: delta.Fast})
	if err != nil {
		t.Fatal(err)
	}
	if kind := report.Blobs[0].Kind; kind != delta.KindNative {
		t.Fatalf("the frame is of kind %d", kind)
	}
	d := &dump{t: t, b: pack.Bytes()[report.Head.Size:]}
	d.varint("the header has %d bytes")
	sizes := make([]int, len(columns))
	for range d.varint("%d section") {
		d.varint("it makes %d new bytes")
		d.varint("%d cover")
		d.varint("coding %d: plain")
		present := d.varint("columns %#b")
		for c, name := range columns {
			if present>>c&1 == 0 {
				continue
			}
			raw := d.varint(name + ": %d bytes,")
			if sizes[c] = d.varint("stored as %d"); sizes[c] != raw {
				t.Fatalf("column %s is compressed", name)
			}
		}
	}
	for c, size := range sizes {
		if size > 0 {
			b := d.b[d.at : d.at+size]
			d.take(size, "%s: %s", columns[c], contentOf(t, columns[c], b))
		}
	}
	return d.end()
}

// contentOf writes what a column holds.
func contentOf(t *testing.T, name string, b []byte) string {
	switch name {
	case "extra":
		return fmt.Sprintf("%q", b)
	case "value":
		return strings.Trim(fmt.Sprint(b), "[]")
	}
	var text []string
	for r := bytes.NewReader(b); r.Len() > 0; {
		read := func() (any, error) { return binary.ReadUvarint(r) }
		if name == "jump" {
			read = func() (any, error) { return binary.ReadVarint(r) }
		}
		v, err := read()
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, fmt.Sprint(v))
	}
	return strings.Join(text, ", ")
}

func formExample(t *testing.T) string {
	// A block with fixed codes: the literal a, five bytes from a distance of 1.
	file := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + "\x4b\x04\x03\x00" + "\xf8\x19\xe4\x5a\x06\x00\x00\x00"
	var form bytes.Buffer
	if err := container.Unpack(t.Context(), &form, strings.NewReader(file), int64(len(file))); err != nil {
		t.Fatal(err)
	}
	d := &dump{t: t, b: form.Bytes()}
	d.take(8, `"tgunpk1\n"`)
	d.take(1, "plain")
	d.take(d.varint("%d bytes"), "the header of the gzip file")
	d.take(1, "deflate stream")
	d.varint("a segment: %d bytes up to its content's size")
	d.take(1, "matcher")
	d.take(1, "final block, fixed codes, up to the end of the segment")
	for range d.varint("%d correction") {
		d.varint("after %d token that was predicted right")
		d.take(2, "distance")
		d.take(1, "length less 3")
	}
	d.take(d.varint("%d bytes of content"), "%q", "aaaaaa")
	d.take(1, "the stream has no more segments")
	d.take(1, "what fills its last byte")
	d.take(2, "CRC-32 and size")
	d.take(1, "end")
	return d.end()
}

// ref writes a size and a digest.
func (d *dump) ref(meaning string, want manifest.Digest) int {
	d.t.Helper()
	n := d.varint(meaning)
	if got := d.take(32, "and this digest"); manifest.Digest(got) != want {
		d.t.Errorf("%s: got digest %x, want %v", meaning, got, want)
	}
	return n
}
