// Command corpus fetches the real releases that the benchmarks run on.
//
// Run it from the repository's root; it needs go, npm, a network and 2 GB:
//
//	go run ./bench/corpus [-cache DIR] [name[@version] …]
//
// Without names it fetches everything. A second run only checks what is there.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
)

func main() {
	dir := flag.String("cache", "", "cache folder (else $"+corpus.EnvCache+", else "+corpus.DefaultCache+")")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, names []string) error {
	cache, err := corpus.CacheDir(dir)
	if err != nil {
		return err
	}
	wanted, err := choose(corpus.Releases(), names)
	if err != nil {
		return err
	}
	for _, r := range wanted {
		t, fetched, err := corpus.Fetch(ctx, cache, r)
		if err != nil {
			return err
		}
		did := "found"
		if fetched {
			did = "fetched"
		}
		fmt.Printf("%-7s %-24s %6d files %11d bytes  %v\n", did, r, len(t.Files), t.Bytes, t.Digest)
	}
	return nil
}

// choose returns the releases that the names ask for, all if there are none.
// A name that matches nothing is a mistake, not an empty choice.
func choose(all []corpus.Release, names []string) ([]corpus.Release, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []corpus.Release
	for _, name := range names {
		n := len(chosen)
		for _, r := range all {
			if name == r.Name || name == r.String() {
				chosen = append(chosen, r)
			}
		}
		if len(chosen) == n {
			known := make([]string, len(all))
			for i, r := range all {
				known[i] = r.String()
			}
			return nil, fmt.Errorf("choose %q: want one of %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}
