package conffile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMerge(t *testing.T) {
	for _, c := range []struct {
		name, file             string
		old, new, user, merged string
		conflicts              string // keys
	}{
		{"untouched", "a.ini", "a = 1\n", "a = 2\n", "a = 1\n", "a = 2\n", ""},
		{"nothing new", "a.ini", "a = 1\n", "a = 1\n", "a = 9\n", "a = 9\n", ""},
		{"user's value stays", "a.ini", "a = 1\nb = 1\n", "a = 1\nb = 2\n", "a = 9\nb = 1\n", "a = 9\nb = 2\n", ""},
		{"new setting with its comment", "a.ini", "a = 1\n", "a = 1\n\n# what b is\nb = 2\n", "# mine\na = 9\n# end\n",
			"# mine\na = 9\n# what b is\nb = 2\n# end\n", ""},
		{"gone, untouched", "a.ini", "a = 1\nb = 1\n", "a = 1\n", "b = 1\na = 9\n", "a = 9\n", ""},
		{"gone, but the user's own", "a.ini", "a = 1\nb = 1\n", "a = 2\n", "a = 1\nb = 7\n", "a = 2\nb = 7\n", ""},
		{"taken out by the user", "a.ini", "a = 1\nb = 1\n", "a = 1\nb = 2\n", "a = 9\n", "a = 9\n", ""},
		{"both changed", "a.ini", "a = 1\n", "a = 2\nb = 3\n", "a = 9\n", "a = 9\nb = 3\n", "a"},
		{"both changed alike", "a.ini", "a = 1\n", "a = 2\nb = 3\n", "a = 2\n", "a = 2\nb = 3\n", ""},
		{"sections", "a.ini", "x = 1\n[one]\na = 1\n[two]\na = 1\n", "x = 1\n[one]\na = 1\nb = 2\n[two]\na = 3\n[three]\nc = 1\n",
			"x = 1\n[two]\na = 1\n[one]\na = 9\n", "x = 1\n[two]\na = 3\n[one]\na = 9\nb = 2\n\n[three]\nc = 1\n", ""},
		{"no newline at the end", "a.conf", "a=1", "a=1\nb=2", "a=9", "a=9\nb=2\n", ""},
		{"CRLF", "a.conf", "a=1\n", "a=1\nb=2\n", "a=9\r\n", "a=9\r\nb=2\r\n", ""},
		{"flat YAML", "a.yml", "a: 1\nb: 1\n", "a: 1\nb: 2\nc: 3\n", "a: 9\nb: 1\n", "a: 9\nb: 2\nc: 3\n", ""},
		{"nested YAML", "a.yml", "a:\n  b: 1\n", "a:\n  b: 2\n", "a:\n  b: 9\n", "a:\n  b: 9\n", "whole"},
		{"TOML over lines", "a.toml", "a = [\n1]\n", "a = [\n2]\n", "a = [\n9]\n", "a = [\n9]\n", "whole"},
		{"no settings", "motd", "hello\n", "hello you\n", "hello me\n", "hello me\n", "whole"},
		{"key twice", "a.ini", "a = 1\n", "a = 2\n", "a = 1\na = 2\n", "a = 1\na = 2\n", "whole"},
		{"not UTF-8", "a.ini", "a = 1\n", "a = 2\n", "a = \xff\n", "a = \xff\n", "whole"},
		{"JSON", "a.json", `{"a": 1, "b": {"c": 1}}`, `{"a": 1, "b": {"c": 2, "d": 3}, "e": []}`, `{"b": {"c": 1}, "a": 9}`,
			"{\n  \"b\": {\n    \"c\": 2,\n    \"d\": 3\n  },\n  \"a\": 9,\n  \"e\": []\n}\n", ""},
		{"JSON, nothing to do", "a.json", `{"a": 1}`, `{"a":  1}`, "{\"a\":\n9}", "{\"a\":\n9}", ""},
		{"JSON within", "a.json", `{"b": {"c": 1}}`, `{"b": {"c": 2}}`, `{"b": {"c": 9, "x": 1}}`, `{"b": {"c": 9, "x": 1}}`, "b.c"},
		{"broken JSON", "a.json", `{"a": 1}`, `{"a": 2}`, `{"a": 9,}`, `{"a": 9,}`, "whole"},
		{"two JSONs", "a.json", `{"a": 1}`, `{"a": 2}`, `{"a": 9} {}`, `{"a": 9} {}`, "whole"},
	} {
		merged, conflicts := Merge(c.file, []byte(c.old), []byte(c.new), []byte(c.user))
		var keys []string
		for _, x := range conflicts {
			if x.Key == "" {
				x.Key = "whole"
			}
			keys = append(keys, x.Key)
		}
		if string(merged) != c.merged || strings.Join(keys, " ") != c.conflicts {
			t.Errorf("%s:\nwant %q, conflicts %q\ngot  %q, conflicts %q", c.name, c.merged, c.conflicts, merged, keys)
		}
	}
}

func TestMergeLarge(t *testing.T) {
	large := []byte("a = " + strings.Repeat("x", MaxSize) + "\n")
	if merged, conflicts := Merge("a.ini", []byte("a = 1\n"), []byte("a = 2\n"), large); !bytes.Equal(merged, large) || len(conflicts) != 1 {
		t.Errorf("got %d bytes, %d conflicts", len(merged), len(conflicts))
	}
}

// files draws a file of settings in one of the formats.
func files(t *rapid.T, format, label string) []byte {
	settings := rapid.MapOfN(rapid.StringMatching(`[a-f]`), rapid.StringMatching(`[1-3]`), 0, 5).Draw(t, label)
	var b strings.Builder
	for _, key := range rapid.Permutation([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, label+" order") {
		value, ok := settings[key]
		if !ok {
			continue
		}
		switch format {
		case "json":
			fmt.Fprintf(&b, ",%q: %s", key, value)
			continue
		case "ini":
			if key > "c" && rapid.Bool().Draw(t, "section") && !strings.Contains(b.String(), "["+key) {
				fmt.Fprintf(&b, "[%s]\n", key)
			}
		}
		fmt.Fprintf(&b, "%s = %s\n", key, value)
		if rapid.Bool().Draw(t, "comment") {
			b.WriteString("# note\n")
		}
	}
	if format == "json" {
		return []byte("{" + strings.TrimPrefix(b.String(), ",") + "}")
	}
	return []byte(b.String())
}

func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom([]string{"json", "ini", "conf"}).Draw(t, "format")
		o, n, u := files(t, format, "old"), files(t, format, "new"), files(t, format, "user")
		laws(t, "f."+format, o, n, u)
		if format != "conf" {
			return
		}
		merged, _ := Merge("f.conf", o, n, u)
		m, _ := parseLines(merged)
		old, _ := parseLines(o)
		user, _ := parseLines(u)
		newer, _ := parseLines(n)
		for _, s := range user.settings { // the user's own values are there
			if was := old.find(s.name()); was == nil || was.value != s.value {
				if now := m.find(s.name()); now == nil || now.value != s.value {
					t.Fatalf("%s: the user's value is lost:\n%s", s.key, merged)
				}
			}
		}
		for _, s := range newer.settings { // what is new is there
			if old.find(s.name()) == nil && m.find(s.name()) == nil {
				t.Fatalf("%s is new, and missing:\n%s", s.key, merged)
			}
		}
	})
}

func laws(t interface{ Fatalf(string, ...any) }, name string, o, n, u []byte) {
	if got, c := Merge(name, o, n, o); !bytes.Equal(got, n) || len(c) > 0 {
		t.Fatalf("Merge(o, n, o) is not n: %q, conflicts %v", got, c)
	}
	if got, c := Merge(name, o, o, u); !bytes.Equal(got, u) || len(c) > 0 {
		t.Fatalf("Merge(o, o, u) is not u: %q, conflicts %v", got, c)
	}
	once, _ := Merge(name, o, n, u)
	if twice, _ := Merge(name, o, n, once); !bytes.Equal(twice, once) {
		t.Fatalf("merged %q\nmerged again %q", once, twice)
	}
}

func FuzzMerge(f *testing.F) {
	f.Add("a.ini", []byte("a = 1\n[s]\nb = 2\n"), []byte("a = 2\n[s]\nb = 2\nc = 3\n"), []byte("# x\na = 9\n[s]\r\nb = 2\n"))
	f.Add("a.json", []byte(`{"a":1}`), []byte(`{"a":{"b":[]}}`), []byte(`{"a":{"c":"\ud800"}}`))
	f.Fuzz(func(t *testing.T, name string, o, n, u []byte) { laws(t, name, o, n, u) })
}
