package atomicfs

import "slices"

// verb is one kind of step. Each has a redo and an undo in apply.go, and both
// may be run any number of times.
type verb uint8

const (
	openDir  verb = iota // lend ourselves access to a folder
	take                 // remove an old file or symlink whose backup is made
	closeDir             // remove a folder if it is empty
	keep                 // move what is in the way beside
	makeDir              // put a new folder in place
	put                  // put new content in place
	setMode              // chmod a file
	sealDir              // give a folder its final mode
)

type step struct {
	verb verb
	r    *record
}

// plan puts the steps of a change in order. It looks at nothing but the
// records, so that a change cut short is resumed with the very same steps:
//
//	access to folders → removals in the way of something new → folders in the
//	way → what is kept beside → new folders → new content → other removals →
//	entry points → other folders, if empty → final modes of folders → state
//	records
//
// Undo runs the same list backwards.
func plan(records []record) []step {
	p := newPlanner(records)
	var opens, early, earlyDirs, keeps, makes, puts, late, entries, lateDirs, seals, meta []step
	for i := range records {
		r := &records[i]
		if isMeta(r.path) {
			meta = append(meta, p.replace(r)...)
			continue
		}
		if r.old.is(Dir) && r.old.Mode&ownerAll != ownerAll {
			opens = append(opens, step{openDir, r})
		}
		if r.kept != "" {
			keeps = append(keeps, step{keep, r})
		}
		switch {
		case r.old.is(Dir) && !r.new.is(Dir) && p.inTheWay(r):
			earlyDirs = append(earlyDirs, step{closeDir, r})
		case r.old.is(Dir) && !r.new.is(Dir):
			lateDirs = append(lateDirs, step{closeDir, r})
		}
		if r.new.is(Dir) {
			if !r.old.is(Dir) {
				makes = append(makes, step{makeDir, r})
			}
			seals = append(seals, step{sealDir, r})
		}
		switch s := p.replace(r); {
		case len(s) > 0 && s[0].verb == take && p.inTheWay(r):
			early = append(early, s...)
		case r.last:
			entries = append(entries, s...)
		case len(s) > 0 && s[0].verb == take:
			late = append(late, s...)
		default:
			puts = append(puts, s...)
		}
	}
	// Paths rise, so a folder stands before what is in it: right for making,
	// wrong for removing.
	slices.Reverse(earlyDirs)
	slices.Reverse(lateDirs)
	slices.Reverse(seals)
	return slices.Concat(opens, early, earlyDirs, keeps, makes, puts, late, entries, lateDirs, seals, meta)
}

const ownerAll = 0o700

type planner struct {
	blocks map[string]bool // folders that must go before anything new comes
	folded map[string]bool // new names, case folded
}

func newPlanner(records []record) *planner {
	p := &planner{blocks: map[string]bool{}, folded: map[string]bool{}}
	for _, r := range records {
		if r.new != nil && r.old == nil {
			p.folded[fold(r.path)] = true
		}
	}
	for _, r := range records {
		goes := r.old.is(Dir) && !r.new.is(Dir)
		if goes && p.folded[fold(r.path)] || r.new != nil && r.new.Kind != Dir && (goes || r.kept != "") {
			p.blocks[r.path] = true
		}
	}
	return p
}

// inTheWay reports whether what r removes must go before anything new comes:
// a new kind at its path or above it, or a new name that differs in case
// alone, which on some file systems is the same name.
func (p *planner) inTheWay(r *record) bool {
	if r.new != nil || p.folded[fold(r.path)] {
		return true
	}
	for dir := range ancestors(r.path) {
		if p.blocks[dir] {
			return true
		}
	}
	return false
}

// replace returns the step for the file or symlink that r brings or removes,
// if any.
func (p *planner) replace(r *record) []step {
	switch {
	case r.chmod():
		return []step{{setMode, r}}
	case r.new.is(File) || r.new.is(Symlink):
		return []step{{put, r}}
	case r.oldSlot != 0 && r.kept == "":
		return []step{{take, r}}
	}
	return nil
}
