//go:build race

package treetest

import "testing"

// NotRacing leaves a test to runs without the race detector: it takes too long
// with it, and others do the same in several goroutines.
func NotRacing(t testing.TB) {
	t.Helper()
	t.Skip("left to runs without the race detector")
}
