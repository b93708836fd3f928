package atomicfs

import "testing"

// makeSpecial makes what is neither file, folder nor symlink.
func makeSpecial(t *testing.T, what, _ string) {
	t.Helper()
	t.Skipf("no %s on Windows", what)
}
