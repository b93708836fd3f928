//go:build !race

package treetest

import "testing"

// NotRacing leaves a test to runs without the race detector.
func NotRacing(testing.TB) {}
