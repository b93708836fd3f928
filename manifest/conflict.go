package manifest

import (
	"path"
)

// Conflicts returns what keeps two products out of one tree: each entry of mine
// that is also theirs, on a file system that ignores case too, or that lies
// where one of the two has something else than a folder. Folders may be shared
// if both want the same mode.
func Conflicts(mine, theirs []Entry) []Fault {
	var v validator
	owned := newNames(len(theirs))
	for i := range theirs {
		owned.add(&v, &theirs[i])
	}
	modes := map[string]Entry{}
	for _, e := range theirs {
		modes[e.Path] = e
	}
	v.faults = nil // theirs are valid; what follows is between the two
	seen := map[string]bool{}
	for _, e := range mine {
		for d := path.Dir(e.Path); d != "." && !seen[d]; d = path.Dir(d) {
			seen[d] = true
			owned.conflict(&v, name{d, true})
		}
		owned.conflict(&v, name{e.Path, e.Kind == Dir})
		if o, ok := modes[e.Path]; ok && e.Kind == Dir && o.Kind == Dir && o.Mode != e.Mode {
			v.fault(e.Path, "mode %04o here, %04o there", e.Mode, o.Mode)
		}
	}
	return v.faults
}

// conflict notes what a name has in common with one that is owned already.
func (n *names) conflict(v *validator, mine name) {
	theirs, ok := n.seen[fold(mine.spelling)]
	switch {
	case !ok || theirs == mine && mine.dir:
	case theirs.spelling != mine.spelling:
		v.fault(mine.spelling, "the same as %.200q where case is ignored", theirs.spelling)
	case theirs.dir != mine.dir:
		v.fault(mine.spelling, "a folder for one, something else for the other")
	default:
		v.fault(mine.spelling, "a file of both")
	}
}
