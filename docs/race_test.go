//go:build race

package docs

// racing says that the race detector is on. What takes it minutes, and has one
// goroutine, is left to runs without it.
const racing = true
