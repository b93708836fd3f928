package manifest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// wantEach runs check over lists of words that it must accept and refuse.
func wantEach(t *testing.T, check func(string) error, good, bad []string) {
	t.Helper()
	for _, s := range good {
		if err := check(s); err != nil {
			t.Errorf("%q refused: %v", s, err)
		}
	}
	for _, s := range bad {
		if check(s) == nil {
			t.Errorf("%q accepted", s)
		}
	}
}

func TestCheckName(t *testing.T) {
	wantEach(t, CheckName,
		[]string{"a", "1", "my-app", "my_app.core", "a..b", "stable", "beta-2", "rooted", "console", strings.Repeat("x", 64)},
		[]string{"", "A", "my app", "-a", "a-", ".a", "a.", "_a", "a/b", `a\b`, "a:b", "é", "a\n", "a\x00", "..", strings.Repeat("x", 65),
			"root", "targets", "snapshot", "timestamp", "con", "nul", "com1", "nul.app"})
}

func TestCheckVersion(t *testing.T) {
	wantEach(t, CheckVersion,
		[]string{"0.0.0", "1.2.3", "10.20.30", "1.0.0-rc.1", "1.0.0-alpha", "1.0.0-0.3.7", "1.0.0--", "99999999999999999999.0.0", "1.0.0-" + strings.Repeat("a", 58)},
		[]string{"", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+build", "1.2.3-rc+b", " 1.2.3", "1.2.3 ", "1.2.3\n",
			"1.2.x", "-1.2.3", "1.2.3-a..b", "1.2.3-é", "1.2.3/..", "1.0.0-" + strings.Repeat("a", 59)})
}

func TestCheckPlatform(t *testing.T) {
	wantEach(t, CheckPlatform,
		[]string{AnyPlatform, HostPlatform(), "linux-amd64", "windows-arm64", "js-wasm"},
		[]string{"", "linux", "Linux-amd64", "linux-amd64-v3", "linux_amd64", "linux/amd64", "-", "a-", "-a", "any-", "ANY", "../-x", "a-b\n",
			strings.Repeat("a", 20) + "-" + strings.Repeat("b", 20)})
}

func TestCompareVersions(t *testing.T) {
	// The order of semver.org, item 11.
	rising := []string{"0.9.0", "1.0.0-1", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
		"1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0", "10.0.0"}
	for i, a := range rising {
		for j, b := range rising {
			if got, want := CompareVersions(a, b), sign(i-j); got != want {
				t.Errorf("CompareVersions(%s, %s) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func sign(n int) int { return max(-1, min(1, n)) }

// TestStoredNames pins the layout of a repository: changing a name strands
// every client.
func TestStoredNames(t *testing.T) {
	from := &Release{Product: "app", Version: "1.0.0", Platform: "linux-amd64"}
	to := &Release{Product: "app", Version: "1.1.0-rc.1", Platform: "linux-amd64"}
	d := Digest(bytes.Repeat([]byte{0xab, 0x0c}, 16))
	for _, c := range []struct{ got, want string }{
		{to.StoredName(), "manifests/app/1.1.0-rc.1/linux-amd64.zst"},
		{to.IndexName(), "indexes/app/1.1.0-rc.1/linux-amd64.json"},
		{ObjectsName(d), "objects/lists/" + strings.Repeat("ab0c", 16)},
		{ObjectName(d), "objects/ab/" + strings.Repeat("ab0c", 16)},
		{PackName(from, to, d), "packs/app/linux-amd64/1.0.0-1.1.0-rc.1-ab0cab0cab0cab0c"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
		if err := CheckPath(c.got); err != nil {
			t.Errorf("%s: %v", c.got, err)
		}
	}
}

func TestDigest(t *testing.T) {
	// Of the official test vectors of BLAKE3: no bytes, and 0, 1, 2.
	for _, c := range []struct{ in, want string }{
		{"", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
		{"\x00\x01\x02", "e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f"},
	} {
		want, err := ParseDigest(c.want)
		if err != nil {
			t.Fatal(err)
		}
		h := NewHash()
		io.WriteString(h, c.in)
		fromReader, n, err := SumReader(iotest.OneByteReader(strings.NewReader(c.in)))
		if got := Sum([]byte(c.in)); got != want || SumOf(h) != want || fromReader != want || n != int64(len(c.in)) || err != nil {
			t.Errorf("%q: got %v, %v, %v of %d bytes (%v), want %v", c.in, got, SumOf(h), fromReader, n, err, want)
		}
		if want.String() != c.want || want.IsZero() {
			t.Errorf("%v: text form lost", c.want)
		}
		text, err := want.MarshalText()
		var back Digest
		if err != nil || back.UnmarshalText(text) != nil || back != want {
			t.Errorf("%s: got back %v, %v", text, back, err)
		}
	}
	if !(Digest{}).IsZero() {
		t.Error("the zero digest is not zero")
	}
}

// TestSumReaderStartsAfresh reads after a read that failed half way.
func TestSumReaderStartsAfresh(t *testing.T) {
	broken := errors.New("broken")
	for range 3 {
		if _, n, err := SumReader(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))); n != 4 || !errors.Is(err, broken) {
			t.Errorf("got %d bytes, %v", n, err)
		}
		if got, _, err := SumReader(strings.NewReader("whole")); got != Sum([]byte("whole")) || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

func TestParseDigestRefuses(t *testing.T) {
	good := strings.Repeat("0a", 32)
	wantEach(t, func(s string) error { _, err := ParseDigest(s); return err }, []string{good},
		[]string{"", good[:63], good + "0", strings.ToUpper(good), "0x" + good[2:], good[:62] + " 0", good[:63] + "g", good[:60] + "é0", strings.Repeat("a", 1<<20)})
}

func TestKindText(t *testing.T) {
	got := []string{File.String(), Dir.String(), Symlink.String(), Kind(9).String()}
	if want := []string{"file", "folder", "symlink", "kind 9"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if DirMode != fs.FileMode(0o755) {
		t.Errorf("folders without an entry have mode %v", DirMode)
	}
}
