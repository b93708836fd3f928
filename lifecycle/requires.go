package lifecycle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/treegraft-dev/treegraft/manifest"
)

// Host is what is known of a machine. What was not found out is empty, and
// counts as not there.
type Host struct {
	OS, Arch  string
	Version   string            // of the operating system or kernel, such as "6.1.0"
	Disk      int64             // free bytes where the tree is
	Memory    int64             // bytes of main memory
	Commands  []string          // those of the required ones that are on the PATH
	Packages  map[string]string // versions of installed packages, by name
	Installed string            // version of the product; "" for none
}

// Unmet is one prerequisite that is not there.
type Unmet struct {
	What string `json:"what"` // such as "memory" or "package openssl"
	Want string `json:"want"`
	Got  string `json:"got"`
}

func (u Unmet) String() string { return fmt.Sprintf("%s: want %s, got %s", u.What, u.Want, u.Got) }

// Check returns everything that q asks for and the host does not have.
func Check(q *manifest.Requires, h Host) (unmet []Unmet) {
	if q == nil {
		return nil
	}
	need := func(ok bool, what, want, got string) {
		if !ok {
			unmet = append(unmet, Unmet{what, want, cmp.Or(got, "none")})
		}
	}
	need(len(q.OS) == 0 || slices.Contains(q.OS, h.OS), "operating system", strings.Join(q.OS, " or "), h.OS)
	need(len(q.Arch) == 0 || slices.Contains(q.Arch, h.Arch), "architecture", strings.Join(q.Arch, " or "), h.Arch)
	need(q.MinOS == "" || h.Version != "" && comparePackages(h.Version, q.MinOS) >= 0,
		"version of the system", q.MinOS+" or later", h.Version)
	need(h.Disk >= q.Disk, "free disk space", size(q.Disk), size(h.Disk))
	need(h.Memory >= q.Memory, "memory", size(q.Memory), size(h.Memory))
	for _, c := range q.Commands {
		need(slices.Contains(h.Commands, c), "command "+c, "it on the PATH", "")
	}
	for _, p := range q.Packages {
		got := h.Packages[p.Name]
		want := "any version"
		if p.Version != "" {
			want = p.Version + " or later"
		}
		need(got != "" && (p.Version == "" || comparePackages(got, p.Version) >= 0), "package "+p.Name, want, got)
	}
	if h.Installed == "" {
		return unmet // to install from nothing, no release need be there
	}
	need(q.Installed == "" || manifest.CompareVersions(h.Installed, q.Installed) >= 0,
		"installed release", q.Installed+" or later", h.Installed)
	need(q.BelowNext == "" || manifest.CompareVersions(h.Installed, q.BelowNext) < 0,
		"installed release", "one before "+q.BelowNext, h.Installed)
	return unmet
}

func size(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}

// comparePackages orders versions as package managers do: numbers by value,
// letters before other signs, and a tilde before the end, so that 1.0~rc1 comes
// before 1.0. An epoch, "2:", goes before all. See deb-version(7); versions of
// rpm and apk, and of kernels, are in the same order but for rare signs.
func comparePackages(a, b string) int {
	ae, a := epoch(a)
	be, b := epoch(b)
	if c := compareDigits(ae, be); c != 0 {
		return c
	}
	for a != "" || b != "" {
		i, j := span(a, false), span(b, false)
		if c := compareSigns(a[:i], b[:j]); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
		i, j = span(a, true), span(b, true)
		if c := compareDigits(a[:i], b[:j]); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
	}
	return 0
}

func epoch(v string) (epoch, rest string) {
	if e, rest, ok := strings.Cut(v, ":"); ok {
		return e, rest
	}
	return "", v
}

// span returns the length of the run of digits, or of others, that s begins with.
func span(s string, digits bool) int {
	i := strings.IndexFunc(s, func(r rune) bool { return (r >= '0' && r <= '9') != digits })
	if i < 0 {
		return len(s)
	}
	return i
}

func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

func compareSigns(a, b string) int {
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(weight(a, i), weight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func weight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z':
		return int(s[i])
	}
	return int(s[i]) + 256
}
