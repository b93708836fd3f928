// Command growth measures how the cost of a delta grows with the file.
//
// Run it from the repository's root, after go run ./bench/corpus:
//
//	go run ./bench/growth [-cache DIR] [-sizes 1,10,100] [-levels small] [-memory MB] [-write]
//
// For each size, in MB, it makes an old and a new file out of the corpus, see
// writeSample, and has them diffed and patched by children. With -write the
// plot goes to bench/growth.svg and the table into bench/README.md; otherwise
// the table goes to standard output.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
	"github.com/treegraft-dev/treegraft/bench/internal/measure"
	"github.com/treegraft-dev/treegraft/bench/internal/report"
)

// What -write changes.
const (
	readme = "bench/README.md"
	plot   = "bench/growth.svg"
)

// Levels of deltas.
const (
	small = "small"
	fast  = "fast"
)

const mb = 1_000_000

type options struct {
	cache  string
	sizes  []int64 // bytes
	levels []string
	memory int64 // bytes
}

func main() {
	measure.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if is, err := child(ctx, os.Args[1:]); is {
		exit(err)
		return
	}
	exit(parent(ctx))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

func parent(ctx context.Context) (err error) {
	var o options
	flag.StringVar(&o.cache, "cache", "", "cache folder (else $"+corpus.EnvCache+", else "+corpus.DefaultCache+")")
	sizes := flag.String("sizes", "1,10,100,1000,4000", "sizes of the files in MB, by comma")
	levels := flag.String("levels", small+","+fast, "levels, by comma")
	flag.Int64Var(&o.memory, "memory", 512, "memory for a diff in MB: what the library's option says")
	write := flag.Bool("write", false, "write "+plot+" and the table in "+readme)
	flag.Parse()
	if o.sizes, err = parseSizes(*sizes); err != nil {
		return err
	}
	if o.levels, err = parseLevels(*levels); err != nil {
		return err
	}
	o.memory *= mb
	if o.cache, err = corpus.CacheDir(o.cache); err != nil {
		return err
	}
	g, err := measureGrowth(ctx, o)
	if err != nil {
		return err
	}
	if !*write {
		fmt.Print(report.GrowthMarkdown(g))
		return nil
	}
	return save(g)
}

func save(g report.Growth) error {
	document, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	changed, err := report.Replace(string(document), report.GrowthPart, report.GrowthMarkdown(g))
	if err != nil {
		return fmt.Errorf("write %s: %w", readme, err)
	}
	if err := os.WriteFile(plot, []byte(report.GrowthPlot(g)), 0o644); err != nil {
		return err
	}
	return os.WriteFile(readme, []byte(changed), 0o644)
}

func parseSizes(s string) (sizes []int64, err error) {
	for _, f := range strings.Split(s, ",") {
		var n int64
		if _, err := fmt.Sscanf(f, "%d", &n); err != nil || n <= 0 || fmt.Sprint(n) != f {
			return nil, fmt.Errorf("size %q: want a number of MB", f)
		}
		sizes = append(sizes, n*mb)
	}
	return sizes, nil
}

func parseLevels(s string) ([]string, error) {
	levels := strings.Split(s, ",")
	for _, l := range levels {
		if l != small && l != fast {
			return nil, fmt.Errorf("level %q: want %s or %s", l, small, fast)
		}
	}
	return levels, nil
}
