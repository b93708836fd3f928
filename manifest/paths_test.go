package manifest

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// long is the longest component.
var long = strings.Repeat("x", MaxComponent)

func TestCheckPathAccepts(t *testing.T) {
	for _, p := range []string{
		"a", "a/b", "A/b-c_d+e@f.1", ".hidden", "..a", "...a", "a..b", "a b", " a", "a,b;c=d", "~", "$HOME", "%2e%2e", "#",
		"é", "日本語/ファイル", "👩‍🚀", "ﬁ", // composed forms, and those that have no other
		"com", "com10", "comx", "lpt", "console", "nul-", "aux_", "a/.treegraft", "treegraft", ".treegraft2", ".treegraf",
		long, long + "/" + long,
		strings.Repeat("a/", MaxPath/2-1) + "aa",
	} {
		if err := CheckPath(p); err != nil {
			t.Errorf("CheckPath(%.40q): %v", p, err)
		}
	}
}

func TestCheckPathRefuses(t *testing.T) {
	for _, c := range []struct{ rule, why, paths string }{
		{"clean and relative", "clean relative path", " . .. / /a a/ a//b ./a a/. ../a a/.. a/../b a/./b // C:/.."},
		{"characters of Windows and shells", "holds the character", `a\b \ C: a:b a<b a>b a"b a|b a?b a*b ü:`},
		{"dot or space at the end", "ends in a dot or space", "a. a./b .../b ... a.."},
		{"Windows devices", "Windows device", "con CON Con nul NUL.txt nul.tar.gz aux prn com1 COM9.log com0 lpt1 lpt¹ COM² com³.x a/con a/nul.txt/b conin$ CONOUT$.x"},
		{"the updater's folder", "own folder", ".treegraft .treegraft/a .Treegraft .TREEGRAFT/x .tree\u200cgraft .treegraft\u200d \u2060.TreeGraft/a TREEGR~1 treegr~1/a Treegr~9"},
		{"UTF-8", "not UTF-8", "\xff a/\xc0\xaf \xed\xa0\x80 a\xc3"},
		{"normal form", "normal form C", "e\u0301 A\u030a/b \u212b \u212a \u1100\u1161 \uf900"},
		{"control characters", "control character", "a\x00b \x01 a\x7f a\u0080 a\u009fb \x1b[2J"},
		{"component length", "longer than 255", long + "x a/" + long + "x/b " + strings.Repeat("é", 128)},
		{"path length", "longer than 4096", strings.Repeat("a/", MaxPath/2) + "a " + strings.Repeat("a", MaxPath+1)},
	} {
		t.Run(c.rule, func(t *testing.T) {
			for p := range strings.SplitSeq(c.paths, " ") {
				wantReason(t, p, CheckPath(p), c.why)
			}
		})
	}
	// Those that cannot stand in a list between spaces.
	wantReason(t, "", CheckPath(""), "clean relative path")
	wantReason(t, "a ", CheckPath("a "), "dot or space")
	wantReason(t, "a /b", CheckPath("a /b"), "dot or space")
	wantReason(t, "nul .txt", CheckPath("nul .txt"), "Windows device")
	wantReason(t, "a\nb", CheckPath("a\nb"), "control character")
	wantReason(t, "a\tb", CheckPath("a\tb"), "control character")
}

func wantReason(t *testing.T, p string, err error, why string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("%.60q: got %v, want an error with %q", p, err, why)
	}
}

var linkTests = []struct {
	path, link string
	why        string // "" where it is accepted
}{
	{"l", "a", ""},
	{"l", "a/b", ""},
	{"l", "./a", ""},
	{"l", "a//b/", ""},
	{"l", ".", ""},
	{"l", "a/.", ""},
	{"d/l", "..", ""},
	{"d/l", "../a", ""},
	{"d/l", "./../a", ""},
	{"d/l", ".//../a", ""},
	{"d/e/l", "../../a", ""},
	{"d/e/l", "../..", ""},
	{"d/l", "é/日本", ""},
	{"l", "..a/b..", ""},
	{"l", "treegraft/.treegraft2", ""},
	{"l", long, ""},

	{"l", "", "empty"},
	{"l", strings.Repeat("a", MaxPath+1), "longer than 4096"},
	{"l", "/", "not relative"},
	{"l", "/etc/passwd", "not relative"},
	{"l", "//server/share", "not relative"},
	{"l", `\\server\share`, "holds the character"},
	{"l", "C:/windows", "holds the character"},
	{"l", `..\..\x`, "holds the character"},
	{"l", "a\x00", "control character"},
	{"l", "a\nb", "control character"},
	{"l", "\xff", "not UTF-8"},
	{"l", "e\u0301", "normal form C"},
	{"l", "..", "out of the tree"},
	{"l", "../a", "out of the tree"},
	{"l", "./../a", "out of the tree"},
	{"d/l", "../..", "out of the tree"},
	{"d/l", "../../d", "out of the tree"},
	{"d/l", ".././../a", "out of the tree"},
	{"l", "a/..", "after a name"},
	{"d/l", "a/../b", "after a name"},
	{"d/e/l", "../a/../b", "after a name"},
	{"d/e/l", "a/./../b", "after a name"},
	{"d/e/l", "a//../b", "after a name"},
	{"l", ".treegraft", "leads into"},
	{"l", "./.treegraft/journal", "leads into"},
	{"d/l", "../.treegraft", "leads into"},
	{"d/l", "../.TreeGraft/x", "leads into"},
	{"l", "root/.treegraft/x", "leads into"}, // root may be a symlink to "."
	{"l", "treegr~1", "leads into"},
}

func TestCheckLink(t *testing.T) {
	for _, c := range linkTests {
		err := CheckLink(c.path, c.link)
		if c.why == "" && err != nil {
			t.Errorf("CheckLink(%q, %.40q): %v", c.path, c.link, err)
		} else if c.why != "" {
			wantReason(t, c.path+" → "+c.link, err, c.why)
		}
	}
}

// TestAcceptedLinksStayInside follows every accepted link on a real disk.
func TestAcceptedLinksStayInside(t *testing.T) {
	followed := 0
	for _, c := range linkTests {
		if c.why != "" {
			continue
		}
		base, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		root := filepath.Join(base, "root")
		for _, dir := range []string{path.Dir(c.path), path.Join(path.Dir(c.path), c.link)} {
			if err := os.MkdirAll(filepath.Join(root, filepath.FromSlash(dir)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		at := filepath.Join(root, filepath.FromSlash(c.path))
		if err := os.Symlink(filepath.FromSlash(c.link), at); err != nil {
			t.Skip("this system makes no symlinks: ", err)
		}
		end, err := filepath.EvalSymlinks(at)
		if err != nil {
			t.Errorf("follow %s → %s: %v", c.path, c.link, err)
		} else if end != root && !strings.HasPrefix(end, root+string(filepath.Separator)) {
			t.Errorf("%s → %s leads to %s, outside %s", c.path, c.link, end, root)
		}
		followed++
	}
	if followed < 10 {
		t.Errorf("followed only %d links", followed)
	}
}

// TestFoldEveryLetter wants all letters that differ only in case, in the sense
// of the Unicode tables of the standard library, to fold to the same.
func TestFoldEveryLetter(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		other := unicode.SimpleFold(r)
		if other <= r || CheckPath(string(r)) != nil || CheckPath(string(other)) != nil {
			continue
		}
		if a, b := fold(string(r)), fold(string(other)); a != b {
			t.Errorf("%q folds to %q, and %q to %q", r, a, other, b)
		}
	}
}

// FuzzCheckPath wants what is accepted to be safe by rules that are written
// down elsewhere.
func FuzzCheckPath(f *testing.F) {
	f.Add("bin/app", "../lib/app")
	f.Add("a/.treegraft", "nul")
	f.Add("é", "a/../../b")
	f.Fuzz(func(t *testing.T, p, link string) {
		if CheckPath(p) != nil {
			return
		}
		if !fs.ValidPath(p) || p == "." || !filepath.IsLocal(p) || strings.EqualFold(strings.SplitN(p, "/", 2)[0], StateDir) {
			t.Errorf("path %q accepted", p)
		}
		if fold(fold(p)) != fold(p) {
			t.Errorf("path %q folds to %q and then to %q", p, fold(p), fold(fold(p)))
		}
		if CheckLink(p, link) != nil {
			return
		}
		// Resolved a name at a time, the way never leads above the root.
		depth := strings.Count(p, "/")
		for c := range strings.SplitSeq(link, "/") {
			switch c {
			case "", ".":
			case "..":
				depth--
			default:
				depth++
			}
			if depth < 0 {
				t.Fatalf("link %q at %q leads out of the tree", link, p)
			}
		}
	})
}
