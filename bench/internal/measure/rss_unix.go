//go:build unix

package measure

import (
	"runtime"
	"syscall"
)

// maxRSS reads the peak memory out of what exec.ProcessState keeps.
func maxRSS(usage any) int64 {
	u, ok := usage.(*syscall.Rusage)
	if !ok || u == nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(u.Maxrss) // bytes
	}
	return int64(u.Maxrss) * 1024
}

// ownRSS returns the peak memory of this process.
func ownRSS() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return maxRSS(&u)
}
