package layers

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// small is a drawing with every feature.
const small = `
	example.com/lib < ground     # a library
	NONE            < trust
	ground trust    < left right # which never meet
	right           < top
	top             < tools/...
`

// goodTree is a module that keeps to it.
var goodTree = map[string]string{
	"go.mod":              "module example.org/m\n\ngo 1.26\n",
	"ground/ground.go":    "package ground\n\nimport (\n\t\"fmt\"\n\t_ \"example.com/lib/sub\"\n)\n",
	"ground/x_test.go":    "package ground\n\nimport _ \"example.org/m/top\"\n",
	"trust/trust.go":      "package trust\n",
	"left/left.go":        "package left\n\nimport _ \"example.org/m/ground\"\n",
	"right/right.go":      "package right\n\nimport _ \"example.com/lib\"\n",
	"top/top.go":          "package main\n\nimport _ \"example.org/m/trust\"\n",
	"tools/a/a.go":        "package a\n\nimport _ \"example.org/m/tools/b\"\n",
	"tools/b/b.go":        "package b\n\nimport _ \"example.org/m/top\"\n",
	"treetest/tree.go":    "package treetest\n\nimport _ \"example.net/cmp\"\n",
	"deep/xtest/x.go":     "package xtest\n",
	"top/testdata/bad.go": "package bad\n\nimport _ \"example.net/cmp\"\n",
	"nested/go.mod":       "module example.org/m/nested\n",
	"nested/n.go":         "package n\n\nimport _ \"example.net/cmp\"\n",
}

// TestBroken breaks the rule in every way, and wants to be told so.
func TestBroken(t *testing.T) {
	for _, c := range []struct{ name, file, source, want string }{
		{"good", "", "", ""},
		{"upwards", "ground/up.go", `import _ "example.org/m/left"`,
			"ground/up.go imports left, which is not drawn below ground"},
		{"sideways", "left/side.go", `import _ "example.org/m/right"`,
			"left/side.go imports right, which is not drawn below left"},
		{"on another system only", "left/side_windows.go", "//go:build windows\n\npackage left\nimport _ \"example.org/m/right\"",
			"left/side_windows.go imports right, which is not drawn below left"},
		{"library drawn elsewhere", "trust/lib.go", `import l "example.com/lib"`,
			"trust/lib.go imports example.com/lib, which is not drawn below trust"},
		{"library not drawn", "top/sdk.go", `import . "example.net/cloud/sdk"`,
			"top/sdk.go imports example.net/cloud/sdk, which is not drawn below top"},
		{"library of a similar name", "ground/lib.go", `import _ "example.com/library"`,
			"ground/lib.go imports example.com/library, which is not drawn below ground"},
		{"sub-package not drawn", "left/sub/sub.go", "",
			"package left/sub is not in the drawing"},
		{"import of a sub-package not drawn", "top/sub.go", `import _ "example.org/m/right/sub"`,
			"top/sub.go imports right/sub, which is not drawn below top"},
		{"test helper", "top/help.go", `import _ "example.org/m/treetest"`,
			"top/help.go imports the test helper treetest"},
		{"tools used", "top/tool.go", `import _ "example.org/m/tools/a"`,
			"top/tool.go imports tools/a, which is not drawn below top"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for name, source := range goodTree {
				tree[name] = &fstest.MapFile{Data: []byte(source)}
			}
			if c.file != "" {
				if !strings.Contains(c.source, "package ") {
					c.source = "package x\n\n" + c.source
				}
				tree[c.file] = &fstest.MapFile{Data: []byte(c.source)}
			}
			wantFaults(t, small, tree, c.want)
		})
	}
}

// TestStale wants a drawing to be refused that draws what is not there.
func TestStale(t *testing.T) {
	tree := fstest.MapFS{}
	for name, source := range goodTree {
		tree[name] = &fstest.MapFile{Data: []byte(source)}
	}
	wantFaults(t, small+"top < attic", tree, "attic is in the drawing, but nothing uses it")
	delete(tree, "ground/ground.go")
	delete(tree, "right/right.go")
	tree["right/right.go"] = &fstest.MapFile{Data: []byte("package right\n")}
	tree["ground/ground.go"] = &fstest.MapFile{Data: []byte("package ground\n")}
	wantFaults(t, small, tree, "example.com/lib is in the drawing, but nothing uses it")
}

func TestParseRefuses(t *testing.T) {
	for drawing, want := range map[string]string{
		"a b":          "want names < names",
		"a < b < c":    "want names < names",
		"a <":          "want names < names",
		"< a":          "want names < names",
		"a < b\nb < a": "stands on itself",
		"a < a":        "stands on itself",
	} {
		if _, err := parse(drawing); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parse(%q): got %v, want %q", drawing, err, want)
		}
	}
}

// TestClientStaysLean tries the rule that matters most on the real drawing.
func TestClientStaysLean(t *testing.T) {
	rules, err := parse(drawing)
	if err != nil {
		t.Fatal(err)
	}
	below := rules.standsOn("client")
	for _, name := range []string{"manifest", "atomicfs", "trust", "store", "delta"} {
		if !below[name] {
			t.Errorf("client does not stand on %s", name)
		}
	}
	for name := range below {
		if name == "publisher" || strings.HasPrefix(name, "store/") || strings.HasPrefix(name, "cmd/") {
			t.Errorf("client stands on %s", name)
		}
		if isOutside(name) && slices.ContainsFunc([]string{"minio-go", "aws", "azure", "cloud.google"}, func(sdk string) bool {
			return strings.Contains(strings.ToLower(name), sdk)
		}) {
			t.Errorf("client stands on the cloud library %s", name)
		}
	}
	if rules.standsOn("publisher")["client"] || below["publisher"] {
		t.Error("publisher and client stand on each other")
	}
}

func wantFaults(t *testing.T, drawing string, tree fstest.MapFS, want ...string) {
	t.Helper()
	rules, err := parse(drawing)
	if err != nil {
		t.Fatal(err)
	}
	m, err := load(tree)
	if err != nil {
		t.Fatal(err)
	}
	want = slices.DeleteFunc(want, func(s string) bool { return s == "" })
	if got := rules.check(m); !slices.Equal(got, want) {
		t.Errorf("faults:\n got %q\nwant %q", got, want)
	}
}
