package attacks

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/client"
)

// mirrors are bad ones, each before the good one. None costs more than time, and
// of several genuine ones the newest wins.
func mirrors() []attack {
	var all []attack
	for name, open := range badMirrors() {
		var address string
		run := func(fresh bool) func(w *world) error {
			return func(w *world) error {
				dir := w.tree
				if fresh {
					dir = w.t.TempDir()
				}
				c := w.client(func(o *client.Options) {
					o.Dir, o.Store, o.Repository, o.Mirrors = dir, nil, address, []string{w.server.URL}
				})
				if !fresh {
					return second(c.Update(context.Background(), client.UpdateOptions{}))
				}
				_, err := c.Install(context.Background(), client.UpdateOptions{})
				w.tree = dir
				return err
			}
		}
		do := func(w *world) { address = open(w) }
		all = append(all,
			attack{name: "bad then good mirror: " + name, do: do, run: run(false)},
			attack{name: "bad then good mirror at install: " + name, do: do, run: run(true)})
	}
	return all
}

// changed serves a copy of the repository, changed by a test.
func changed(change func(w *world, dir string)) func(w *world) string {
	return func(w *world) string {
		dir := w.t.TempDir()
		w.copyTo(dir)
		change(w, dir)
		return listen(w.t, http.FileServer(http.Dir(dir)))
	}
}

// every flips a byte of each file that fits.
func every(pattern string) func(w *world, dir string) {
	return func(w *world, dir string) {
		names, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		w.must(err)
		if len(names) == 0 {
			w.t.Fatalf("nothing fits %s", pattern)
		}
		for _, name := range names {
			if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
				w.flip(name)
			}
		}
	}
}

// badMirrors open one, and return its address.
func badMirrors() map[string]func(w *world) string {
	return map[string]func(w *world) string{
		"down": func(w *world) string {
			s := httptest.NewServer(http.NotFoundHandler())
			s.Close()
			return s.URL
		},
		"empty": func(w *world) string { return listen(w.t, http.NotFoundHandler()) },
		"broken": func(w *world) string {
			return listen(w.t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusForbidden) }))
		},
		"hanging": func(w *world) string {
			return listen(w.t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		},
		"endless": func(w *world) string {
			return listen(w.t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					if _, err := rw.Write(make([]byte, 32<<10)); err != nil {
						return
					}
				}
			}))
		},
		"stale": func(w *world) string { return listen(w.t, http.FileServer(http.Dir(w.old))) },
		"claims a higher version": changed(func(w *world, dir string) {
			name := filepath.Join(dir, "metadata", timestamp)
			b, err := os.ReadFile(name)
			w.must(err)
			w.must(os.WriteFile(name, []byte(strings.Replace(string(b), `"version":3`, `"version":9999`, 1)), 0o644))
		}),
		"flips every byte of timestamps": changed(every("metadata/timestamp.json")),
		"flips snapshots":                changed(every("metadata/*.snapshot.json")),
		"flips products":                 changed(every("metadata/*.app.json")),
		"flips indexes":                  changed(every("indexes/app/*/*")),
		"flips manifests":                changed(every("manifests/app/*/*")),
		"flips objects":                  changed(every("objects/*/*")),
		"flips packs":                    changed(every("packs/*/*/*")),
	}
}

// listen serves until the test is over, whatever is under way.
func listen(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}
