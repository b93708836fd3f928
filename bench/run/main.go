// Command run measures treegraft beside bsdiff, xdelta3, zstd --patch-from,
// casync and OSTree on the same real releases.
//
// Run it from the repository's root, after go run ./bench/corpus:
//
//	go run ./bench/run [-cache DIR] [-pairs a,b] [-tools x,y] [-fresh] [-write]
//
// Every tool runs as a child process, and no figure counts before the tool's
// result was compared with the new release. What the rivals did is kept in the
// cache folder and used again, marked †, until they or the pair change; ours
// always runs. Tables go to standard output, or with -write into
// bench/README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
	"github.com/treegraft-dev/treegraft/bench/internal/measure"
	"github.com/treegraft-dev/treegraft/bench/internal/report"
)

// readme is the document that -write changes.
const readme = "bench/README.md"

func main() {
	measure.Main()
	var o options
	flag.StringVar(&o.cache, "cache", "", "cache folder (else $"+corpus.EnvCache+", else "+corpus.DefaultCache+")")
	pairList := flag.String("pairs", "", "pairs to measure, by comma (default all)")
	toolList := flag.String("tools", "", "tools to run, by comma (default all)")
	flag.BoolVar(&o.fresh, "fresh", false, "measure the rivals again")
	flag.BoolVar(&o.keep, "keep", false, "keep the work folders")
	write := flag.Bool("write", false, "write the tables into "+readme)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o.pairs, o.tools = splitList(*pairList), splitList(*toolList)
	if err := run(ctx, o, *write); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, write bool) (err error) {
	if o.cache, err = corpus.CacheDir(o.cache); err != nil {
		return err
	}
	r, err := measureAll(ctx, o)
	if err != nil {
		return err
	}
	text := report.Markdown(r)
	if !write {
		fmt.Print(text)
		return nil
	}
	document, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	changed, err := report.Replace(string(document), report.ResultsPart, text)
	if err != nil {
		return fmt.Errorf("write %s: %w", readme, err)
	}
	return os.WriteFile(readme, []byte(changed), 0o644)
}
