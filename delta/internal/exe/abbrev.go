package exe

// abbrevs are the abbreviations of all units of .debug_info: what their entries
// consist of. Most are the same in many units, and kept once.
type abbrevs struct {
	in     cursor
	tables map[uint32][]uint32 // by offset: of each code, less 1, the list
	lists  [][]attribute
	known  map[string]uint32 // lists by their bytes
}

// attribute says how long an attribute is, and which reference it may be.
type attribute struct {
	how   how
	size  byte
	class byte // of an offset
}

// how says how long an attribute is.
type how byte

const (
	howFixed   how = iota // so many bytes
	howAddress            // an address
	howOffset             // an offset, of four bytes
	howText               // up to a zero
	howUleb               // a number
	howBlock              // a number, and so many bytes
	howSized              // the same, with a number of a fixed size
)

// implicitConst is a form whose value is in the abbreviation.
const implicitConst = 0x21

// opAddress begins an expression that is an address, DWARF 5 §7.7.1.
const opAddress = 3

// Names of attributes that are offsets, DWARF 5 §7.5.4.
var classOfName = map[uint64]byte{0x10: infoLine, 0x55: infoRanges, 0x73: infoAddr, 0x74: infoRanges, 0x8c: infoLoc,
	// Location lists: location, string_length, return_addr, data_member_location,
	// frame_base, segment, static_link, use_location, vtable_elem_location; and
	// GCC's DW_AT_GNU_locviews.
	0x02: infoLoc, 0x19: infoLoc, 0x2a: infoLoc, 0x38: infoLoc, 0x40: infoLoc, 0x46: infoLoc, 0x48: infoLoc, 0x4a: infoLoc, 0x4d: infoLoc, 0x2137: infoLoc}

// attributeOf returns what an attribute of a form is, DWARF 5 §7.5.6.
func attributeOf(name, form uint64) (a attribute, ok bool) {
	switch form {
	case 0x01: // addr
		return attribute{how: howAddress}, true
	case 0x0b, 0x0c, 0x11, 0x25, 0x29: // data1, flag, ref1, strx1, addrx1
		a.size = 1
	case 0x05, 0x12, 0x26, 0x2a: // data2, ref2, strx2, addrx2
		a.size = 2
	case 0x27, 0x2b: // strx3, addrx3
		a.size = 3
	case 0x06, 0x1c, 0x1d, 0x28, 0x2c: // data4, ref_sup4, strp_sup, strx4, addrx4
		a.size = 4
	case 0x07, 0x14, 0x20, 0x24: // data8, ref8, ref_sig8, ref_sup8
		a.size = 8
	case 0x1e: // data16
		a.size = 16
	case 0x19, implicitConst: // flag_present
	case 0x08: // string
		a.how = howText
	case 0x0d, 0x0f, 0x15, 0x1a, 0x1b, 0x22, 0x23: // sdata, udata, ref_udata, strx, addrx, loclistx, rnglistx
		a.how = howUleb
	case 0x09, 0x18: // block, exprloc
		a.how = howBlock
	case 0x0a, 0x03: // block1, block2
		a.how, a.size = howSized, byte(2-form>>3&1)
	case 0x04: // block4
		a.how, a.size = howSized, 4
	case 0x0e: // strp
		return attribute{howOffset, 4, infoStr}, true
	case 0x1f: // line_strp
		return attribute{howOffset, 4, infoLineStr}, true
	case 0x10: // ref_addr
		return attribute{howOffset, 4, infoInfo}, true
	case 0x13: // ref4
		return attribute{howOffset, 4, infoUnit}, true
	case 0x17: // sec_offset
		if class, known := classOfName[name]; known {
			return attribute{howOffset, 4, class}, true
		}
		a.size = 4
	default:
		return a, false
	}
	return a, true
}

const maxAttributes = 1 << 8 // of an entry

// Records that something takes, of those that a reader may note.
const (
	recordsOfUnit = 16
	recordsOfList = 8 // and one for each attribute
)

// table returns the abbreviations at an offset, which is that far behind a place
// of the area, as if the area went so far. It has them as far as their codes
// count up from 1 and they are understood.
func (a *abbrevs) table(offset uint32, from uint64, records *int) ([]uint32, error) {
	if t, seen := a.tables[offset]; seen {
		return t, nil
	}
	c := &a.in
	c.seek(from + uint64(offset))
	var table []uint32
	var key []byte
	for *records > 0 {
		*records--
		if c.uleb() != uint64(len(table)+1) || c.err != nil {
			break
		}
		c.uleb() // what it is
		c.byte() // whether it has children
		list, ok := readAttributes(c)
		if !ok {
			break
		}
		key = key[:0]
		for _, x := range list {
			key = append(key, byte(x.how), x.size, x.class)
		}
		k, seen := a.known[string(key)]
		if !seen {
			k = uint32(len(a.lists))
			a.known[string(key)] = k
			a.lists = append(a.lists, list)
			*records -= recordsOfList + len(list)
		}
		table = append(table, k)
	}
	a.tables[offset] = table
	return table, c.mend()
}

// readAttributes reads those of an abbreviation.
func readAttributes(c *cursor) (list []attribute, ok bool) {
	for len(list) <= maxAttributes {
		name, form := c.uleb(), c.uleb()
		if name == 0 && form == 0 {
			return list, c.err == nil
		}
		x, ok := attributeOf(name, form)
		if !ok {
			break
		}
		if form == implicitConst {
			c.uleb() // its value
		}
		list = append(list, x)
	}
	return nil, false
}
