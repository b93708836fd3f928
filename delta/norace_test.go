//go:build !race

package delta

import "testing"

func notRacing(*testing.T) {}
