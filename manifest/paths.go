package manifest

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Limits of paths: those of the narrowest common file systems.
const (
	MaxPath      = 4096 // bytes of a path or of a symlink's target
	MaxComponent = 255  // bytes between two slashes
)

// StateDir is the folder in an install tree that belongs to the updater. No
// entry may be in it.
const StateDir = ".treegraft"

// CheckPath reports the first thing that is wrong with the path of an entry.
// The rules are the same on every system, so that a tree that can be published
// can be installed everywhere: slash-separated, relative and clean
// ([fs.ValidPath], and not "."); UTF-8 in normal form C; no control
// characters and none of \ : < > " | ? *; no component that ends in a dot or
// space, is longer than [MaxComponent], or names a Windows device; not in
// [StateDir]; at most [MaxPath] bytes.
func CheckPath(p string) error {
	switch {
	case len(p) > MaxPath:
		return fmt.Errorf("longer than %d bytes", MaxPath)
	case !utf8.ValidString(p):
		return fmt.Errorf("not UTF-8")
	case p == "." || !fs.ValidPath(p):
		return fmt.Errorf("not a clean relative path")
	}
	if err := checkText(p); err != nil {
		return err
	}
	first := true
	for rest := p; rest != ""; first = false {
		var c string
		c, rest, _ = strings.Cut(rest, "/")
		if err := checkComponent(c); err != nil {
			return err
		}
		if first && isStateDir(c) {
			return fmt.Errorf("in the updater's own folder %s", StateDir)
		}
	}
	return nil
}

// checkText holds the rules that paths and symlink targets share.
func checkText(s string) error {
	if isPlain(s) {
		return nil
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("not UTF-8")
	}
	if !norm.NFC.IsNormalString(s) {
		return fmt.Errorf("not in Unicode normal form C")
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return fmt.Errorf("holds the control character %U", r)
		}
		if strings.ContainsRune(`\:<>"|?*`, r) {
			return fmt.Errorf("holds the character %q", r)
		}
	}
	return nil
}

// isPlain is the fast way for nearly every path.
func isPlain(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '/', c == '.', c == '_', c == '-', c == '+', c == '@':
		default:
			return false
		}
	}
	return true
}

func checkComponent(c string) error {
	if len(c) > MaxComponent {
		return fmt.Errorf("component %.20q… longer than %d bytes", c, MaxComponent)
	}
	if strings.HasSuffix(c, ".") || strings.HasSuffix(c, " ") {
		return fmt.Errorf("component %.200q ends in a dot or space", c)
	}
	if isDevice(c) {
		return fmt.Errorf("component %.200q names a Windows device", c)
	}
	return nil
}

// isDevice reports whether Windows takes a file name for a device: the name up
// to the first dot, spaces trimmed, case ignored.
// Source: Microsoft, "Naming Files, Paths, and Namespaces".
func isDevice(c string) bool {
	base, _, _ := strings.Cut(c, ".")
	base = strings.TrimRight(base, " ")
	if len(base) < len("CON") || len(base) > len("CONOUT$") {
		return false
	}
	base = strings.ToUpper(base)
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	if !strings.HasPrefix(base, "COM") && !strings.HasPrefix(base, "LPT") {
		return false
	}
	switch base[3:] {
	case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
		return true
	}
	return false
}

// isStateDir reports whether a file system may take a name for [StateDir]: one
// that ignores case (any), that ignores characters without a shape (HFS+), or
// that has short names (FAT and NTFS, where it is TREEGR~1 or so).
func isStateDir(c string) bool {
	c = fold(c)
	if strings.HasPrefix(c, "treegr~") {
		return true
	}
	return c == StateDir || StateDir == strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, c)
}

// CheckLink reports what is wrong with the target of a symlink at path p: it
// is relative, keeps the character rules of [CheckPath], leads to somewhere
// inside the tree, and no component of it is called [StateDir]. ".." is
// allowed only at its beginning: after the name of another symlink it would
// lead to where that one points, not to where it seems to.
func CheckLink(p, link string) error {
	switch {
	case link == "":
		return fmt.Errorf("empty target")
	case len(link) > MaxPath:
		return fmt.Errorf("target longer than %d bytes", MaxPath)
	case strings.HasPrefix(link, "/"):
		return fmt.Errorf("target %.200q is not relative", link)
	}
	if err := checkText(link); err != nil {
		return fmt.Errorf("target %.200q %w", link, err)
	}
	down := false
	for c := range strings.SplitSeq(link, "/") {
		switch {
		case c == "" || c == ".":
		case c == ".." && down:
			return fmt.Errorf("target %.200q has \"..\" after a name", link)
		case c == "..":
		case isStateDir(c):
			return fmt.Errorf("target %.200q leads into %s", link, StateDir)
		default:
			down = true
		}
	}
	end := path.Join(path.Dir(p), link)
	if end == ".." || strings.HasPrefix(end, "../") {
		return fmt.Errorf("target %.200q leads out of the tree", link)
	}
	return nil
}

// fold returns the form in which two names are the same to a file system that
// ignores case: the canonical caseless match of the Unicode standard, D145.
// The last step to lower case is for Cherokee, where cases.Fold swaps large
// and small letters.
func fold(s string) string {
	ascii := true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return strings.ToLower(s)
	}
	return norm.NFC.String(strings.ToLower(cases.Fold().String(norm.NFD.String(s))))
}
