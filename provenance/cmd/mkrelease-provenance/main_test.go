package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	bundle := filepath.Join(dir, "bundle.json")
	if err := os.WriteFile(bundle, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want string }{
		{"", "want verify"},
		{"frob", "want verify"},
		{"verify", "want --bundle"},
		{"verify --frob", "not defined"},
		{"verify --bundle " + bundle, "one folder"},
		{"verify --bundle nowhere tree", "nowhere"},
		{"verify --bundle " + bundle + " --trusted-root nowhere tree", "read trusted root"},
		{"verify --bundle " + bundle + " --trusted-root " + bundle + " tree", "read trusted root"},
	} {
		var out bytes.Buffer
		if err := run(strings.Fields(tt.args), &out); err == nil || !strings.Contains(err.Error(), tt.want) || out.Len() > 0 {
			t.Errorf("%s: got %v, want %q", tt.args, err, tt.want)
		}
	}
}
