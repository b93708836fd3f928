// Command safety measures what it costs to change a tree so that a power cut
// does no harm.
//
// Run it from the repository's root; releases that are missing are fetched:
//
//	go run ./bench/safety [-cache DIR] [-work DIR] [-pairs go-patch,go-far] [-runs N] [-write]
//
// A tree of the old release is brought to the new one by a child process that
// stages all new content, from files in memory, and commits: no download, no
// delta, just what package atomicfs does. Each strategy does it N times with its
// syncs, N times while the kernel answers each sync without doing it (a filter
// of system calls, so the program is the same), and N times while readers look
// at every path that changes. After each time the tree is rolled back. The
// floors write the same bytes to files of another folder, as plainly as can be.
//
// With -write the table goes into docs/SAFETY.md, otherwise to standard output.
// The disk is that of -work, a folder in the cache if it is not given.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
	"github.com/treegraft-dev/treegraft/bench/internal/report"
)

// document is what -write changes, and part is where.
const (
	document = "docs/SAFETY.md"
	part     = "cost"
)

// pair is an old and a new release.
type pair struct{ id, old, new string }

func pairs() []pair {
	return []pair{{"go-patch", "go@1.26.7", "go@1.26.8"}, {"go-far", "go@1.25.0", "go@1.26.8"}}
}

type options struct {
	cache, work string
	pairs       string
	runs        int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := parent
	if len(os.Args) > 1 && os.Args[1] == childArg {
		run = child
	}
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "safety:", err)
		os.Exit(1)
	}
}

func parent(ctx context.Context, args []string) (err error) {
	var o options
	flags := flag.NewFlagSet("safety", flag.ExitOnError)
	flags.StringVar(&o.cache, "cache", "", "cache folder (else $"+corpus.EnvCache+", else "+corpus.DefaultCache+")")
	flags.StringVar(&o.work, "work", "", "folder on the disk to be measured")
	flags.StringVar(&o.pairs, "pairs", "", "pairs to measure, by comma (default all)")
	flags.IntVar(&o.runs, "runs", 5, "how often each row is measured")
	write := flags.Bool("write", false, "write the table into "+document)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.runs < 1 || flags.NArg() > 0 {
		return errors.New("want at least one run, and no arguments")
	}
	if o.cache, err = corpus.CacheDir(o.cache); err != nil {
		return err
	}
	if o.work == "" {
		o.work = filepath.Join(o.cache, "work")
	}
	text, err := measureAll(ctx, o)
	if err != nil || !*write {
		fmt.Print(text)
		return err
	}
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	changed, err := report.Replace(string(old), part, text)
	if err != nil {
		return fmt.Errorf("write %s: %w", document, err)
	}
	return os.WriteFile(document, []byte(changed), 0o644)
}

// measureAll returns the table of all pairs that are asked for.
func measureAll(ctx context.Context, o options) (string, error) {
	if err := os.MkdirAll(o.work, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(o.work, "safety-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d runs of each row, medians (slowest)\n\n", where(work), o.runs)
	for _, p := range pairs() {
		if o.pairs != "" && !strings.Contains(","+o.pairs+",", ","+p.id+",") {
			continue
		}
		old, err := fetch(ctx, o.cache, p.old)
		if err != nil {
			return "", err
		}
		new, err := fetch(ctx, o.cache, p.new)
		if err != nil {
			return "", err
		}
		c, err := newChange(old, new, filepath.Join(work, p.id))
		if err != nil {
			return "", err
		}
		t, err := c.measure(ctx, o.runs)
		if err != nil {
			return "", fmt.Errorf("measure %s: %w", p.id, err)
		}
		fmt.Fprintf(&b, "%s → %s: %s\n\n%s\n", p.old, p.new, c, t)
	}
	return b.String(), nil
}

// release is one release in the cache.
type release struct {
	dir  string
	tree corpus.Tree
}

func fetch(ctx context.Context, cache, id string) (release, error) {
	r, err := corpus.Find(id)
	if err != nil {
		return release{}, err
	}
	t, _, err := corpus.Fetch(ctx, cache, r)
	return release{r.Dir(cache), t}, err
}
