package client

import (
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/manifest"
)

func TestDigestLine(t *testing.T) {
	d := manifest.Sum([]byte("manifest"))
	got, version, err := parseDigestLine(digestLine(d, "1.2.0-rc.1"))
	if err != nil || got != d || version != "1.2.0-rc.1" {
		t.Errorf("want what was written, got %v, %q, error %v", got, version, err)
	}
	for _, bad := range []string{"", "\n", d.String(), d.String() + "\n", d.String() + " \n", d.String() + "  1.0.0\n",
		d.String()[1:] + " 1.0.0\n", strings.ToUpper(d.String()) + " 1.0.0\n", d.String() + " 1.0.0\n\n", d.String() + " 1\n"} {
		if _, _, err := parseDigestLine([]byte(bad)); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}

func FuzzDigestLine(f *testing.F) {
	f.Add(digestLine(manifest.Sum(nil), "1.0.0"))
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, version, err := parseDigestLine(b)
		if err != nil {
			return
		}
		if again := string(digestLine(d, version)); strings.TrimSuffix(again, "\n") != strings.TrimSuffix(string(b), "\n") {
			t.Errorf("%q was read as %q", b, again)
		}
	})
}
