package client

import (
	"slices"
	"strings"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// Plan is what brings a tree from what is installed to a release. It is made
// without touching the tree, and says beforehand what it costs. A plan without
// steps is that of a tree that is up to date, or of a release with the same
// tree: [Plan.UpToDate] tells which.
type Plan struct {
	From *manifest.Release // nil when nothing is installed
	To   *manifest.Release

	// Route has the versions of all releases on the way, To the first of them:
	// barriers, and those just before strict ones. Nothing is empty: stay.
	Route  []string
	Passed []lifecycle.Passed // newer releases that the install does not take by itself

	Steps    []Step  // one for each path that changes, in order of paths
	Download int64   // bytes still to be fetched
	Fetched  int64   // bytes of what is needed that are here already
	Reuse    int64   // bytes of the new tree that are in place or come from local files
	Content  int64   // bytes of the new tree
	Space    int64   // free bytes that staging and downloads need
	Drift    []Drift // local changes in the way

	// Obstacles are what else is in the way; only [Client.Plan] looks for them.
	// Whoever carries out the plan looks again, and refuses.
	Obstacles []atomicfs.Obstacle

	Migrations []lifecycle.Step  // that the data needs
	Unmet      []lifecycle.Unmet // what the release requires and is not here
	Unfit      error             // why the release cannot work with the data; nil if it can

	job
}

// UpToDate reports whether the plan leaves everything as it is. A plan to a release
// with the same tree does not: what is noted as installed changes.
func (p *Plan) UpToDate() bool { return len(p.Steps) == 0 && p.encoded == nil }

// isRepair reports whether the release stays: only a plan to another one has its
// manifest to install.
func (p *Plan) isRepair() bool { return p.encoded == nil }

// job is what a plan needs to be carried out.
type job struct {
	from    manifest.Digest // of the installed manifest, zero when there is none
	to      *manifest.Manifest
	encoded []byte // canonical encoding of to
	changes []atomicfs.Change
	edited  []edited // settings files that the user has edited
	local   *local

	pack    *manifest.Pack // nil when there is none from here
	head    *delta.Head
	listing manifest.ObjectsFile
	objects manifest.Objects // nil until needed
}

// Action is how the new state of a path comes about.
type Action string

// The actions of a plan.
const (
	Delete Action = "delete"
	Make   Action = "make"  // a folder, symlink or mode, or content that is in place
	Copy   Action = "copy"  // from a local file with the same content
	Patch  Action = "patch" // from local files and the pack
	Get    Action = "get"   // the full content, from the repository
)

// Step is what a plan does with one path.
type Step struct {
	Path   string          `json:"path"`
	Action Action          `json:"action"`
	Size   int64           `json:"size,omitempty"` // bytes of new content
	Digest manifest.Digest `json:"-"`              // of new content
}

// decide says for each change how it comes about: what is cheapest of what is
// possible. It is pure.
func decide(changes []atomicfs.Change, l *local, head *delta.Head, canonical manifest.Digest) []Step {
	patched := patchable(l, head, canonical)
	var steps []Step
	for _, c := range changes {
		if c.Old != nil && c.New != nil && *c.Old == *c.New {
			continue // a folder that stays
		}
		step := Step{Path: c.Path, Action: Make}
		switch {
		case c.New == nil:
			step.Action = Delete
		case c.New.Kind != atomicfs.File || l.inPlace[c.Path]:
		case c.Old != nil && c.Old.Kind == atomicfs.File && c.Old.Digest == c.New.Digest && !l.bad[c.Path]:
		default:
			step.Size, step.Digest = c.New.Size, c.New.Digest
			_, isLocal := l.content[step.Digest]
			switch {
			case isLocal:
				step.Action = Copy
			case patched[step.Digest]:
				step.Action = Patch
			default:
				step.Action = Get
			}
		}
		steps = append(steps, step)
	}
	slices.SortFunc(steps, func(a, b Step) int { return strings.Compare(a.Path, b.Path) })
	return steps
}

// patchable returns the contents that the pack can make from what is here.
func patchable(l *local, head *delta.Head, canonical manifest.Digest) map[manifest.Digest]bool {
	if head == nil {
		return nil
	}
	made := map[manifest.Digest]bool{}
	missing := func(i int) bool {
		d := head.Blob(i).Digest
		_, ok := l.content[d]
		return !ok && d != canonical && !(i >= len(head.Old) && made[d])
	}
	for _, f := range head.Frames {
		if slices.ContainsFunc(f.Old, missing) {
			continue
		}
		for _, n := range f.New {
			made[n.Digest] = true
		}
	}
	return made
}

// wanted returns the digests of all new contents, and of all that the pack
// reads.
func wanted(changes []atomicfs.Change, head *delta.Head) map[manifest.Digest]bool {
	w := map[manifest.Digest]bool{}
	for _, c := range changes {
		if c.New != nil && c.New.Kind == atomicfs.File {
			w[c.New.Digest] = true
		}
	}
	if head != nil {
		for _, f := range head.Frames {
			for _, i := range f.Old {
				w[head.Blob(i).Digest] = true
			}
		}
	}
	return w
}

// contents returns the distinct contents that come about by an action, in
// order of their first step.
func (p *Plan) contents(a Action) []delta.Ref {
	var refs []delta.Ref
	seen := map[manifest.Digest]bool{}
	for _, s := range p.Steps {
		if s.Action == a && !seen[s.Digest] {
			seen[s.Digest] = true
			refs = append(refs, delta.Ref{Digest: s.Digest, Size: s.Size})
		}
	}
	return refs
}

// frames returns the frames of the pack that the plan needs.
func (p *Plan) frames() []int {
	need := map[manifest.Digest]bool{}
	for _, r := range p.contents(Patch) {
		need[r.Digest] = true
	}
	if len(need) == 0 {
		return nil
	}
	var frames []int
	for i := range p.head.Frames {
		if slices.ContainsFunc(p.head.Frames[i].New, func(n delta.Ref) bool { return need[n.Digest] }) {
			frames = append(frames, i)
		}
	}
	return frames
}

// blockSize is what the space for a file is rounded up to.
const blockSize = 4096

// price fills in what the plan costs, given how many bytes of the pack and
// which objects are here already.
func (p *Plan) price(packHere int64, objectHere func(manifest.Object) bool) {
	p.Content = p.to.Content()
	p.Reuse = p.Content
	for _, s := range p.Steps {
		p.Space += (s.Size + blockSize - 1) / blockSize * blockSize
		if s.Action == Get || s.Action == Patch {
			p.Reuse -= s.Size
		}
	}
	if len(p.contents(Patch)) > 0 {
		p.Download += p.pack.Size - packHere
		p.Fetched += packHere
		for _, i := range p.frames() {
			p.Reuse += max(0, made(p.head.Frames[i])-p.head.Frames[i].Size)
		}
	}
	for _, r := range p.contents(Get) {
		if o := p.objects[r.Digest]; objectHere(o) {
			p.Fetched += o.Size
		} else {
			p.Download += o.Size
		}
	}
	p.Space += p.Download
}

// newBytes returns the bytes of all distinct new contents.
func (p *Plan) newBytes() (n int64) {
	for _, a := range []Action{Copy, Patch, Get} {
		for _, r := range p.contents(a) {
			n += r.Size
		}
	}
	return n
}

// made returns the bytes of new content in a frame.
func made(f delta.Frame) (n int64) {
	for _, r := range f.New {
		n += r.Size
	}
	return n
}
