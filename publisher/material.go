package publisher

import (
	"cmp"
	"path"
	"slices"

	"github.com/treegraft-dev/treegraft/manifest"
)

// Limits on old content that did not change and is given to the diff engine
// all the same, because new files may resemble it.
const (
	maxExtra     = 64 << 20 // bytes in all
	extraFactor  = 8        // and so many times the bytes of new files
	neighbours   = 4        // in the order of names, on each side of a new file
	maxLikeness  = 16       // how much bigger than a new file one may be
	alwaysExtra  = 64 << 10 // bytes that are not worth counting
	maxSameNames = 4        // files of the same name in other folders
)

// material chooses which old contents a pack is made from, and which new ones
// it is made for, each in order of paths.
//
// The new ones are all that the old tree does not hold anywhere: a client
// copies the others. The old ones are those that are gone, those that a new
// content takes the place of, and, within limits, others that are likely to
// resemble a new file.
func material(old, new []manifest.Entry) (from, to []*manifest.Entry) {
	had, has := digests(old), digests(new)
	chosen := map[manifest.Digest]bool{}
	var added []*manifest.Entry // new contents at paths where no file was
	for _, e := range contentsOf(new) {
		if !had[e.Digest] {
			to = append(to, e)
		}
	}
	for _, c := range manifest.Compare(old, new) {
		if c.To == nil || c.To.Kind != manifest.File || had[c.To.Digest] {
			continue
		}
		if c.From != nil && c.From.Kind == manifest.File {
			chosen[c.From.Digest] = true
		} else {
			added = append(added, c.To)
		}
	}
	contents := contentsOf(old)
	var kept []*manifest.Entry
	for _, e := range contents {
		if !has[e.Digest] {
			chosen[e.Digest] = true
		} else if !chosen[e.Digest] {
			kept = append(kept, e)
		}
	}
	for _, e := range alike(kept, added) {
		chosen[e.Digest] = true
	}
	return slices.DeleteFunc(contents, func(e *manifest.Entry) bool { return !chosen[e.Digest] }), to
}

func digests(entries []manifest.Entry) map[manifest.Digest]bool {
	set := make(map[manifest.Digest]bool, len(entries))
	for i := range entries {
		if entries[i].Kind == manifest.File {
			set[entries[i].Digest] = true
		}
	}
	return set
}

// alike returns those of the kept contents, which are in order of paths, that
// are likely to resemble an added file by their names.
func alike(kept, added []*manifest.Entry) (extra []*manifest.Entry) {
	names, kinds := map[string][]*manifest.Entry{}, map[string][]*manifest.Entry{}
	for _, e := range kept {
		names[path.Base(e.Path)] = append(names[path.Base(e.Path)], e)
		kinds[kindOf(e.Path)] = append(kinds[kindOf(e.Path)], e)
	}
	budget := int64(alwaysExtra)
	for _, e := range added {
		budget += extraFactor * e.Size
	}
	budget = min(budget, maxExtra)
	seen := map[*manifest.Entry]bool{}
	for _, a := range added {
		near := around(names[path.Base(a.Path)], a.Path, maxSameNames/2)
		near = append(near, around(kinds[kindOf(a.Path)], a.Path, neighbours)...)
		for _, e := range near {
			if seen[e] || e.Size > maxLikeness*a.Size+alwaysExtra || e.Size > budget {
				continue
			}
			seen[e] = true
			budget -= e.Size
			extra = append(extra, e)
		}
	}
	return extra
}

// kindOf returns what files of the same kind share: folder and extension.
func kindOf(p string) string { return path.Dir(p) + "/*" + path.Ext(p) }

// around returns up to n entries on each side of where a path would stand.
func around(entries []*manifest.Entry, p string, n int) []*manifest.Entry {
	i, _ := slices.BinarySearchFunc(entries, p, func(e *manifest.Entry, p string) int { return cmp.Compare(e.Path, p) })
	return slices.Clone(entries[max(0, i-n):min(len(entries), i+n)])
}
