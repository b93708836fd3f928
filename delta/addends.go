package delta

import (
	"encoding/binary"

	"github.com/treegraft-dev/treegraft/delta/internal/exe"
)

// Programs that may be loaded anywhere list which of their words are addresses.
// In ELF, a row of that list has the address too, and most linkers put it into
// the word as well. The list comes first, so once it is made, so are the words:
// whoever applies a delta copies them from its rows, right or wrong.
type addends struct {
	tables []addendTable
	at     int // place in the section up to which new bytes were seen
	next   int // table at hand
	row    []byte
	words  []word
	cursor int // first word that may still be made
}

// addendTable is a list of relocations in new bytes.
type addendTable struct {
	exe.Addends
	maps []exe.Map
}

// word says what eight new bytes will be.
type word struct {
	at    int
	value uint64
}

const (
	maxAddendTables = 1 << 4  // of a module
	maxWords        = 1 << 18 // of a section: 16 bytes each
)

// addendClass is that of copied words.
const addendClass = exe.Classes - 2

func newAddends(modules []module) *addends {
	a := &addends{}
	rows := uint64(0)
	for _, m := range modules {
		for _, t := range m.addends {
			a.tables = append(a.tables, addendTable{t, m.new})
			rows += t.Size / exe.AddendSize
		}
	}
	a.words = make([]word, 0, min(rows, maxWords))
	return a
}

// made takes the next new bytes of the section.
func (a *addends) made(b []byte) {
	end := a.at + len(b)
	for ; a.next < len(a.tables); a.next++ {
		t := &a.tables[a.next]
		from, to := max(a.at, int(t.Pos)), min(end, int(t.Pos+t.Size))
		if from < to {
			a.rows(t, b[from-a.at:to-a.at])
		}
		if end < int(t.Pos+t.Size) {
			break
		}
		a.row = a.row[:0]
	}
	a.at = end
}

// rows takes the next bytes of a table.
func (a *addends) rows(t *addendTable, b []byte) {
	for len(b) > 0 {
		n := min(len(b), exe.AddendSize-len(a.row))
		a.row, b = append(a.row, b[:n]...), b[n:]
		if len(a.row) < exe.AddendSize {
			return
		}
		row := a.row
		a.row = a.row[:0]
		at, ok := t.place(row, t.maps)
		if k := len(a.words); ok && k < maxWords && (k == 0 || at >= a.words[k-1].at+8) {
			a.words = append(a.words, word{at, binary.LittleEndian.Uint64(row[16:])})
		}
	}
}

// place returns where the word of a row is in the section.
func (t *addendTable) place(row []byte, maps []exe.Map) (int, bool) {
	if binary.LittleEndian.Uint64(row[8:]) != t.Info {
		return 0, false
	}
	at, ok := exe.Place(maps, binary.LittleEndian.Uint64(row))
	return int(at), ok
}

// predict writes those words that are known into the predicted bytes from a
// place on.
func (a *addends) predict(pred, class []byte, at int) {
	for a.cursor < len(a.words) && a.words[a.cursor].at+8 <= at {
		a.cursor++
	}
	for k := a.cursor; k < len(a.words) && a.words[k].at < at+len(pred); k++ {
		for j := range 8 {
			if i := a.words[k].at + j - at; i >= 0 && i < len(pred) {
				pred[i] = byte(a.words[k].value >> (8 * j))
				class[i] = addendClass<<3 | byte(j)
			}
		}
	}
}

// inOrder drops lists that are not behind those of the modules before: modules
// of one new file have the same.
func inOrder(modules []module) {
	end := uint64(0)
	for i := range modules {
		m := &modules[i]
		if len(m.addends) > 0 && m.addends[0].Pos < end {
			m.addends = nil
		}
		for _, a := range m.addends {
			end = a.Pos + a.Size
		}
	}
}

// worthCopying reports whether most words of a new file are as its list of
// relocations says. Some linkers leave them zero.
func worthCopying(t exe.Addends, maps []exe.Map, file []byte) bool {
	table := addendTable{t, maps}
	same, all := 0, 0
	for row := file[t.Pos : t.Pos+t.Size]; len(row) >= exe.AddendSize; row = row[exe.AddendSize:] {
		if at, ok := table.place(row, maps); ok && at+8 <= len(file) {
			all++
			if binary.LittleEndian.Uint64(file[at:]) == binary.LittleEndian.Uint64(row[16:]) {
				same++
			}
		}
	}
	return same > all/2
}
