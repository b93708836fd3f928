package exe

import "fmt"

// A Reader finds the references of one area.
type Reader interface {
	// Find appends to sites the references that begin in old[from:to]. The
	// bytes of old have addresses from addr on, and places in the area from pos
	// on. References end inside old. Bytes before from are context.
	Find(sites []Site, old []byte, from, to int, pos, addr uint64) []Site
}

// ReadAt fills p with the bytes of an area from a place on. It may be outside of
// the area: the file goes on there, and what is outside of it counts as zeros.
type ReadAt func(p []byte, pos uint64) error

// NewReader returns a reader for an area, which is number index of a file and
// has the address addr. Some readers first go over all of the area, and note
// its records: at most so many, which is then less.
func NewReader(a *Area, index int, addr uint64, records *int, read ReadAt) (Reader, error) {
	switch a.Kind {
	case X86:
		return x86Reader{}, nil
	case ARM64:
		return arm64Reader{}, nil
	case GoFuncs:
		return newGoFuncs(a, records, read)
	case EhFrame:
		return newEhFrame(a, records, read)
	case GoTypes:
		return newGoTypes(a, addr, records, read)
	case GoInlining:
		if len(a.Bases) != 1 {
			return nil, fmt.Errorf("area of inlined calls: want one base, got %d", len(a.Bases))
		}
		return &goInlining{a}, nil
	case Rebases:
		return &rebaseReader{a}, nil
	case PERelocs:
		return newPERelocs(a, records, read)
	case DebugInfo:
		return newDebugInfo(a, addr, records, read)
	case DebugMarked:
		return markedReader{}, nil
	case DebugFrame:
		return newDebugFrame(a, records, read)
	default:
		return &tableReader{area: a, class: byte(firstTableClass + index*3%(Classes-firstTableClass-8))}, nil
	}
}

// Classes of references.
const (
	classCall = 1 + iota
	classJump
	classOperand
	classBranch
	classPage
	classLow
	classEhFrame
	classEhGroup
	classEhData
	firstTableClass
)

// Those of relocations are shared with tables.
const (
	classRelocPage = firstTableClass + iota
	classRelocWord
)

// Those of debug sections too.
const (
	classMarked = firstTableClass + infoPlaced + 1 + iota
	classFrame
	classFrameGroup
)

// The last classes are not of tables.
const (
	classGoName = Classes - 8 + iota
	classGoType
	classGoCall
	classGoMethod
	classGoPointer
	classGoInlined
	_ // of addends, in package delta
	classRebase
)
