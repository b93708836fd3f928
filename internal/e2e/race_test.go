//go:build race

package e2e

// raceEnabled has the commands built with the race detector, like the test.
const raceEnabled = true
