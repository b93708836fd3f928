// Package exe knows where executables keep references: addresses, and offsets
// that are as good as addresses.
//
// When code moves, what differs between two builds is mostly references. Each
// points at some byte; when it is known where that byte is in the new build,
// the new reference can be computed. This package finds references in old
// bytes (readers), and finds out what an executable consists of (parsers: ELF,
// PE, Mach-O, and the tables of Go). What becomes of a reference is decided by
// package delta, from its covers.
//
// Only who makes a delta parses. What was found travels as [Map], [Area] and
// [Blank], so who applies one needs no parser, and a new parser needs no new
// client. These may be hostile: all that can happen is a wrong guess, at
// bounded cost. What readers find is a part of the format: a change of it, or
// of classes and forms, needs a new kind.
//
// # Limits
//
// Numbers are little-endian. Code is read for x86 and ARM64; x86 without
// decoding it, so that some bytes are taken for references by chance. Of ELF,
// sections are read: a program without them has no areas, relocatable files
// tell little. Universal files for macOS have no layout. Compressed sections tell
// nothing unless they are unpacked. Tables of functions and types are those of
// Go 1.20 and later. DWARF is read if offsets have 32 bits: entries, frames, and
// tables of addresses; of lines and lists, whole addresses, but nothing that
// counts from one.
//
// # Sources
//
// System V ABI and its supplements for x86-64 and AArch64, Linux Standard Base
// 5.0 chapter 10 (.eh_frame), Microsoft's PE format, Apple's mach-o/loader.h and
// nlist.h; pcHeader, moduledata, _func and inlinedCall in Go's package runtime,
// Type and what embeds it in internal/abi, machorebase in its linker; the DWARF
// standard, versions 4 and 5; the manuals of Intel 64 (volume 2) and of the
// A-profile Arm architecture (C4.1). To find references by kind, and follow
// them, is the idea of Zucchini, in Chromium.
package exe

// A Layout describes one executable file.
type Layout struct {
	Maps    []Map
	Areas   []Area
	Blanks  []Blank
	Addends []Addends
}

// A Map says that the bytes of a file from Pos on are known under the
// addresses from Addr on. Content that is not loaded into memory has addresses
// too: those from [Unloaded] on.
type Map struct{ Pos, Size, Addr uint64 }

// Unloaded is added to a place in the file to make the address of content
// that is not loaded.
const Unloaded = 1 << 56

// A Blank is a part of memory without content in the file, such as .bss.
type Blank struct {
	Name       string
	Addr, Size uint64
}

// Addends is a list of relocations of ELF with 64 bits: rows of an address, an
// info that says what to do there, and a value. The word at an address may hold
// the value too, where the info is the given one.
type Addends struct {
	Pos, Size uint64
	Info      uint64
}

// AddendSize is the size of a row of Addends.
const AddendSize = 24

// An Area is a part of a file in which one reader finds references.
type Area struct {
	Name      string // the same in old and new
	Pos, Size uint64
	Kind      Kind
	Stride    uint64   // of a table: bytes from one record to the next
	Fields    []Field  // of a table
	Bases     []uint64 // what values count from
	Dense     bool     // there is little but references
}

// Kind says which reader an area is for.
type Kind byte

const (
	X86         Kind = 1 + iota // x86-64 code, and that of its predecessors
	ARM64                       // ARM64 code
	Table                       // records of one size
	GoFuncs                     // records of functions in Go's pclntab
	EhFrame                     // records of functions in .eh_frame
	GoTypes                     // Go's descriptors of types
	GoInlining                  // Go's records of inlined calls
	Rebases                     // opcodes that tell which words of a program for macOS are addresses
	PERelocs                    // base relocations of PE
	DebugInfo                   // entries of .debug_info
	DebugMarked                 // addresses in lines and lists of DWARF
	DebugFrame                  // records of functions in .debug_frame
	kindEnd
)

// Valid reports whether there is a reader for the kind.
func (k Kind) Valid() bool { return k > 0 && k < kindEnd }

// Absolute reports whether references of the kind say the same wherever they
// stand, so that tables of them can be matched after they were predicted.
func (a *Area) Absolute() bool {
	switch a.Kind {
	case GoFuncs, GoTypes, GoInlining, Rebases, PERelocs, DebugInfo, DebugMarked, DebugFrame:
		return true
	}
	if a.Kind != Table || a.Stride < 4 {
		return false
	}
	for _, f := range a.Fields {
		if f.Base == FromHere {
			return false
		}
	}
	return true
}

// A Field is a part of each record of a table that holds a reference.
type Field struct {
	Offset uint64 // in the record
	Width  uint64 // 4 or 8 bytes, little-endian
	Base   int    // index into Area.Bases, FromZero or FromHere
}

const (
	FromZero = -1 // the value is an address
	FromHere = -2 // the value counts from the address of the field
	FromUnit = -3 // the value counts from an address that moves: not of tables
)

// Place returns the place in a file of an address.
func Place(maps []Map, addr uint64) (uint64, bool) {
	for _, m := range maps {
		if addr-m.Addr < m.Size {
			return m.Pos + (addr - m.Addr), true
		}
	}
	return 0, false
}

// Addr returns the address of a place in a file.
func Addr(maps []Map, pos uint64) (uint64, bool) {
	for _, m := range maps {
		if pos-m.Pos < m.Size {
			return m.Addr + (pos - m.Pos), true
		}
	}
	return 0, false
}
