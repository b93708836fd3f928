package main

import (
	"fmt"
	"math"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

// making holds the choices for making deltas.
type making struct {
	codec, level, memory string
	time                 time.Duration
}

func (m *making) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&m.codec, "codec", "native", "how deltas are made: native, or bsdiff40 for any bspatch")
	f.StringVar(&m.level, "level", "small", "make deltas small, balanced or fast")
	f.StringVar(&m.memory, "memory", "2GiB", "memory for making deltas, at least 64MiB; with less of it, huge files are matched in parts")
	f.DurationVar(&m.time, "time", 0, `longest time to make one delta, such as "10m"; what takes longer is stored in full (default: any time)`)
}

// options turns the flags into what the library takes. It has garbage of the
// process collected early enough that the memory is about what was asked for.
func (m *making) options() (o delta.Options, err error) {
	switch m.codec {
	case "native":
	case "bsdiff40":
		o.Codec = delta.BSDIFF40
	default:
		return o, &cli.UsageError{Text: fmt.Sprintf("--codec %s: want native or bsdiff40", m.codec)}
	}
	switch m.level {
	case "small":
	case "balanced":
		o.Level = delta.Balanced
	case "fast":
		o.Level = delta.Fast
	default:
		return o, &cli.UsageError{Text: fmt.Sprintf("--level %s: want small, balanced or fast", m.level)}
	}
	if o.Memory, err = parseMemory(m.memory); err != nil {
		return o, &cli.UsageError{Text: fmt.Sprintf("--memory %s: want a size from 64MiB on, such as 500MiB or 2GiB", m.memory)}
	}
	if debug.SetMemoryLimit(-1) == math.MaxInt64 { // GOMEMLIMIT goes first
		debug.SetMemoryLimit(o.Memory)
	}
	if o.Time = m.time; m.time < 0 {
		return o, &cli.UsageError{Text: fmt.Sprintf("--time %v: want more than 0", m.time)}
	}
	return o, nil
}

// parseMemory parses a size in MiB or GiB.
func parseMemory(s string) (int64, error) {
	shift := 0
	number, ok := strings.CutSuffix(s, "MiB")
	if shift = 20; !ok {
		number, ok = strings.CutSuffix(s, "GiB")
		shift = 30
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if !ok || err != nil || n<<shift < 64<<20 {
		return 0, strconv.ErrSyntax
	}
	return n << shift, nil
}

// tellFull lists what a delta could not make smaller.
func tellFull(out *cli.Out, files []delta.BlobReport) {
	for _, b := range files {
		if b.Why != "" {
			out.Item("full", struct {
				Path string `json:"path"`
				Size int64  `json:"size"`
				Why  string `json:"why"`
			}{b.Name, b.Stored, b.Why}, "  in full, %s: %s: %s", cli.Size(b.Stored), b.Name, b.Why)
		}
	}
}
