package client

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/manifest"
)

// maxProducts bounds how many products one tree may have.
const maxProducts = 10_000

// Products returns the releases that are installed in the tree at dir, each
// after those it depends on. It takes no lock.
func Products(dir string) ([]manifest.Release, error) {
	all, err := installedIn(dir)
	var releases []manifest.Release
	for _, m := range all {
		releases = append(releases, m.Release)
	}
	return dependenciesFirst(releases), err
}

// dependenciesFirst orders releases of different products: each comes after all
// those it depends on, and else in order of their names. Those that depend on
// each other in a circle come last.
func dependenciesFirst(releases []manifest.Release) []manifest.Release {
	left := slices.SortedFunc(slices.Values(releases), func(a, b manifest.Release) int { return strings.Compare(a.Product, b.Product) })
	waits := func(r manifest.Release) bool {
		return slices.ContainsFunc(r.Depends, func(d manifest.Dependency) bool {
			return slices.ContainsFunc(left, func(o manifest.Release) bool { return o.Product == d.Name && o.Product != r.Product })
		})
	}
	var ordered []manifest.Release
	for len(left) > 0 {
		i := slices.IndexFunc(left, func(r manifest.Release) bool { return !waits(r) })
		if i < 0 {
			return append(ordered, left...)
		}
		ordered = append(ordered, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return ordered
}

// installedIn reads all installed manifests of a tree, in order of products.
func installedIn(dir string) ([]*manifest.Manifest, error) {
	files, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(atomicfs.MetaDir)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && len(files) > maxProducts {
		err = fmt.Errorf("%s: %d products, at most %d", dir, len(files), maxProducts)
	}
	if err != nil {
		return nil, err
	}
	var all []*manifest.Manifest
	for _, f := range files {
		product, ok := strings.CutSuffix(f.Name(), metaSuffix)
		if !ok || manifest.CheckName(product) != nil {
			continue
		}
		b, err := readInstalled(dir, product)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a rollback was faster
		}
		if err != nil {
			return nil, err
		}
		m, err := manifest.Parse(bytes.NewReader(b))
		if err == nil && m.Release.Product != product {
			err = fmt.Errorf("it is that of %s", m.Release.Product)
		}
		if err != nil {
			return nil, &DamagedError{Product: product, Err: err}
		}
		all = append(all, m)
	}
	return all, nil
}

// onlyProduct returns the product of a tree that has one, and "" for a tree
// that has none. Where nothing is installed, one whose install was begun counts.
func onlyProduct(dir string) (string, error) {
	installed, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(atomicfs.MetaDir)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	folders, err := os.ReadDir(filepath.Join(dir, atomicfs.StateDir, productsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var known []string
	for _, f := range installed {
		product, ok := strings.CutSuffix(f.Name(), metaSuffix)
		if !ok {
			product, ok = strings.CutSuffix(f.Name(), digestSuffix) // its manifest may be lost
		}
		if ok && manifest.CheckName(product) == nil && !slices.Contains(known, product) {
			known = append(known, product)
		}
	}
	for _, f := range folders {
		if len(installed) == 0 && manifest.CheckName(f.Name()) == nil {
			known = append(known, f.Name())
		}
	}
	switch len(known) {
	case 0:
		return "", nil
	case 1:
		return known[0], nil
	}
	return "", fmt.Errorf("%s: which product? It has %s", dir, strings.Join(known, ", "))
}

// others returns the installed manifests of the tree's other products.
func (s *session) others() ([]*manifest.Manifest, error) {
	all, err := installedIn(s.c.o.Dir)
	return slices.DeleteFunc(all, func(m *manifest.Manifest) bool { return m.Release.Product == s.c.settings.Product }), err
}

// A ConflictError lists what a release has in common with other products of the
// tree: each file belongs to one. Nothing was changed.
type ConflictError struct {
	Product   string // of the release
	Conflicts []Conflict
}

// Conflict is one path that two products want.
type Conflict struct {
	Path   string
	Owner  string // the product that has it
	Reason string
}

// Error names the first conflicts, one a line.
func (e *ConflictError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has files of other products (%d)", e.Product, len(e.Conflicts))
	for i, c := range e.Conflicts {
		if i == maxShown {
			fmt.Fprintf(&b, "\n  … and %d more", len(e.Conflicts)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s: %s, with %s", c.Path, c.Reason, c.Owner)
	}
	return b.String()
}

// A DependencyError lists what products of a tree need of each other and would
// not have. Nothing was changed.
type DependencyError struct{ Missing []Missing }

// Missing is one need of a product.
type Missing struct {
	Product string // that has the need
	Needs   manifest.Dependency
	Got     string // version that there is, or would be; "" for none
}

func (m Missing) String() string {
	need := m.Needs.Name
	if m.Needs.Version != "" {
		need += " " + m.Needs.Version + " or newer"
	}
	if m.Got == "" {
		return fmt.Sprintf("%s needs %s", m.Product, need)
	}
	return fmt.Sprintf("%s needs %s, got %s", m.Product, need, m.Got)
}

func (e *DependencyError) Error() string {
	var lines []string
	for _, m := range e.Missing {
		lines = append(lines, m.String())
	}
	return strings.Join(lines, "\n")
}

// together checks that a tree in which to takes the place of from fits
// together: no file of two products, and all that they need of each other.
// To is nil if the product is to go.
func together(product string, to *manifest.Manifest, others []*manifest.Manifest) error {
	conflict := &ConflictError{Product: product}
	versions := map[string]string{}
	var all []*manifest.Release
	for _, o := range others {
		all = append(all, &o.Release)
		if to == nil {
			continue
		}
		for _, f := range manifest.Conflicts(to.Entries, o.Entries) {
			conflict.Conflicts = append(conflict.Conflicts, Conflict{f.Path, o.Release.Product, f.Reason})
		}
	}
	if len(conflict.Conflicts) > 0 {
		return conflict
	}
	if to != nil {
		all = append(all, &to.Release)
	}
	for _, r := range all {
		versions[r.Product] = r.Version
	}
	var missing []Missing
	for _, r := range all {
		for _, d := range r.Depends {
			got := versions[d.Name]
			lacks := got == "" || d.Version != "" && manifest.CompareVersions(got, d.Version) < 0
			if lacks && (r.Product == product || d.Name == product) { // what was amiss before is not for now
				missing = append(missing, Missing{r.Product, d, got})
			}
		}
	}
	if len(missing) > 0 {
		return &DependencyError{missing}
	}
	return nil
}

// keepFolders adds the folders that other products list, where changes might
// leave them empty: they stay.
func keepFolders(changes []atomicfs.Change, others []*manifest.Manifest) []atomicfs.Change {
	if len(others) == 0 {
		return changes
	}
	named := map[string]bool{}
	var left []string
	for _, c := range changes {
		named[c.Path] = true
		if c.New == nil {
			left = append(left, c.Path)
		}
	}
	for _, o := range others {
		for i := range o.Entries {
			e := &o.Entries[i]
			above := func(p string) bool { return p == e.Path || strings.HasPrefix(p, e.Path+"/") }
			switch at := slices.IndexFunc(left, above); {
			case e.Kind != manifest.Dir || at < 0:
			case !named[e.Path]:
				named[e.Path] = true
				changes = append(changes, atomicfs.Change{Path: e.Path, Old: node(e), New: node(e)})
			case left[at] == e.Path: // ours no longer, but theirs
				for j := range changes {
					if changes[j].Path == e.Path {
						changes[j].New = node(e)
					}
				}
			}
		}
	}
	return changes
}
