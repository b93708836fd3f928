//go:build race

package delta

import "testing"

// notRacing leaves a test to runs without the race detector: it takes too long
// with it, or measures memory, and others do the same in several goroutines.
func notRacing(t *testing.T) { t.Skip("left to runs without the race detector") }
