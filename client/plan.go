package client

import "github.com/treegraft-dev/treegraft/manifest"

// Plan is what brings a tree from what is installed to a release. It is made
// without touching the tree, and says beforehand what it costs.
type Plan struct {
	From *manifest.Release // nil when nothing is installed
	To   *manifest.Release

	Steps    []Step // one for each path that changes, in order of paths
	Download int64  // bytes still to be fetched
	Fetched  int64  // bytes of it that are here already
	Reuse    int64  // bytes of the new tree that are in place already or made from local bytes
	Content  int64  // bytes of the new tree
	Space    int64  // free bytes that staging needs
	Drift    []Drift
}

// Action is how the new state of a path comes about.
type Action string

// The actions of a plan.
const (
	Delete Action = "delete"
	Make   Action = "make"  // a folder, symlink or mode: nothing to transfer
	Copy   Action = "copy"  // from a local file with the same content
	Patch  Action = "patch" // from local files and the pack
	Get    Action = "get"   // the full content, from the repository
)

// Step is what a plan does with one path.
type Step struct {
	Path   string
	Action Action
	Size   int64 // bytes of the new content
}
