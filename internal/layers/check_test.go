package layers

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// rules are a parsed drawing.
type rules struct {
	below map[string][]string // what each name stands on directly
}

// parse reads a drawing: one "a b < c d" a line, "NONE" for nothing, and
// comments behind "#".
func parse(drawing string) (*rules, error) {
	r := &rules{below: map[string][]string{}}
	for line := range strings.Lines(drawing) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		low, high, ok := strings.Cut(line, "<")
		lows, highs := strings.Fields(low), strings.Fields(high)
		if !ok || len(lows) == 0 || len(highs) == 0 || strings.Contains(high, "<") {
			return nil, fmt.Errorf("line %q: want names < names", line)
		}
		if lows[0] == "NONE" {
			lows = nil
		}
		for _, name := range lows {
			r.below[name] = append(r.below[name], nil...)
		}
		for _, name := range highs {
			r.below[name] = append(r.below[name], lows...)
		}
	}
	for name := range r.below {
		if r.standsOn(name)[name] {
			return nil, fmt.Errorf("%s stands on itself", name)
		}
	}
	return r, nil
}

// standsOn returns all names below one.
func (r *rules) standsOn(name string) map[string]bool {
	all := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		for _, low := range r.below[name] {
			if !all[low] {
				all[low] = true
				visit(low)
			}
		}
	}
	visit(name)
	return all
}

// name returns the drawn name that covers an import path: a library's own path
// or one above it, a package's own, or the nearest "folder/...".
func (r *rules) name(p string) (name string, drawn bool) {
	outside := isOutside(p)
	for at := p; ; at = path.Dir(at) {
		if _, drawn = r.below[at]; drawn && (at == p || outside) {
			return at, true
		}
		if _, drawn = r.below[at+"/..."]; drawn {
			return at + "/...", true
		}
		if !strings.Contains(at, "/") {
			return "", false
		}
	}
}

// check returns every way in which the module differs from the drawing.
func (r *rules) check(m *module) (faults []string) {
	used := map[string]bool{}
	for _, p := range m.packages {
		if isTestHelper(p.path) {
			continue
		}
		name, drawn := r.name(p.path)
		if !drawn {
			faults = append(faults, fmt.Sprintf("package %s is not in the drawing", p.path))
			continue
		}
		used[name] = true
		below := r.standsOn(name)
		for _, i := range slices.Sorted(maps.Keys(p.imports)) {
			low, drawn := r.name(i)
			used[low] = used[low] || isOutside(i)
			switch {
			case isTestHelper(i):
				faults = append(faults, fmt.Sprintf("%s imports the test helper %s", p.imports[i], i))
			case !drawn || low != name && !below[low]:
				faults = append(faults, fmt.Sprintf("%s imports %s, which is not drawn below %s", p.imports[i], i, name))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.below)) {
		if !used[name] {
			faults = append(faults, fmt.Sprintf("%s is in the drawing, but nothing uses it", name))
		}
	}
	return faults
}

// module is what the checker knows of a module.
type module struct {
	packages []*pkg // in order of paths
}

// pkg is a package without its tests.
type pkg struct {
	path    string            // relative to the module
	imports map[string]string // path to the file that imports it; ours relative to the module
}

// load reads the import lines of all packages of the module at root, whatever
// system a file is for.
func load(root fs.FS) (*module, error) {
	gomod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return nil, err
	}
	first, _, _ := strings.Cut(string(gomod), "\n")
	prefix := strings.TrimSpace(strings.TrimPrefix(first, "module ")) + "/"
	found := map[string]*pkg{}
	err = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || p == ".":
			return err
		case d.IsDir():
			return skipDir(root, p)
		case !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go"):
			return nil
		}
		at := found[path.Dir(p)]
		if at == nil {
			at = &pkg{path.Dir(p), map[string]string{}}
			found[at.path] = at
		}
		return at.read(root, p, prefix)
	})
	m := &module{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		m.packages = append(m.packages, found[name])
	}
	return m, err
}

// skipDir leaves out what the go command leaves out, and nested modules.
func skipDir(root fs.FS, p string) error {
	base := path.Base(p)
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, p+"/go.mod"); err == nil {
		return fs.SkipDir
	}
	return nil
}

func (k *pkg) read(root fs.FS, file, prefix string) error {
	src, err := fs.ReadFile(root, file)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if ours, is := strings.CutPrefix(p, prefix); is {
			k.imports[ours] = file
		} else if isOutside(p) {
			k.imports[p] = file
		}
	}
	return nil
}

// isOutside tells libraries, whose first element is a host name, from our
// packages and the standard library.
func isOutside(p string) bool {
	host, _, _ := strings.Cut(p, "/")
	return strings.Contains(host, ".")
}

// isTestHelper reports whether a package of ours is for tests only.
func isTestHelper(p string) bool { return !isOutside(p) && strings.HasSuffix(p, "test") }
