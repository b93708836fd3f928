package cli

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Size returns a number of bytes as people write it, in powers of 1,000:
// "0 B", "999 B", "8.1 KB", "812 KB", "1.2 GB". It rounds to the nearest.
func Size(n int64) string {
	if n < 1000 && n > -1000 {
		return fmt.Sprintf("%d B", n)
	}
	f := float64(n)
	for _, unit := range [...]string{"KB", "MB", "GB", "TB", "PB"} {
		f /= 1000
		switch {
		case math.Abs(f) < 9.95:
			return fmt.Sprintf("%.1f %s", f, unit)
		case math.Abs(f) < 999.5:
			return fmt.Sprintf("%.0f %s", f, unit)
		}
	}
	return fmt.Sprintf("%.0f EB", f/1000)
}

// Percent returns a share of a whole with one decimal. It says 100.0 % and
// 0.0 % only where that is so.
func Percent(part, whole int64) string {
	switch {
	case whole <= 0 || part >= whole:
		return "100.0 %"
	case part <= 0:
		return "0.0 %"
	}
	p := float64(part) / float64(whole) * 100
	return fmt.Sprintf("%.1f %%", min(max(p, 0.1), 99.9))
}

// Count returns a number with the word for what is counted: "1 file",
// "3 files".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Version returns the version of the running program, as its build recorded it.
func Version() string {
	version := "(devel)"
	if info, found := debug.ReadBuildInfo(); found && info.Main.Version != "" {
		version = info.Main.Version
	}
	return version
}

func versionVerb(out *Out) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := struct {
				Program  string `json:"program"`
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{cmd.Root().Name(), Version(), runtime.Version(), runtime.GOOS + "-" + runtime.GOARCH}
			return out.Done(OK, v, "%s %s (%s, %s)", v.Program, v.Version, v.Go, v.Platform)
		},
	}
}
