//go:build unix

package measure

import (
	"fmt"
	"os"
	"runtime"
	"strings"
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

// ownRSS returns the peak memory of this program. What rusage says about this
// process has on Linux the peak of the one that started it in it.
func ownRSS() int64 {
	if b, err := os.ReadFile("/proc/self/status"); err == nil {
		_, rest, _ := strings.Cut(string(b), "VmHWM:")
		var kb int64
		if _, err := fmt.Sscan(rest, &kb); err == nil {
			return kb * 1024
		}
	}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return maxRSS(&u)
}
