package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// crowded publishes n releases, of which only the last has files.
func crowded(t testing.TB, n int) *repo {
	t.Helper()
	r := newRepo(t)
	for i := range n - 1 {
		l := manifest.Listing{Product: "app", Version: fmt.Sprintf("0.%d.0", i), Sequence: uint64(i + 1), Platform: manifest.AnyPlatform,
			Channels: []string{defaultChannel}, Size: 1, Digest: manifest.Sum([]byte{1})}
		custom, err := json.Marshal(l)
		check(t, err)
		facts := manifest.Release{Product: l.Product, Version: l.Version, Platform: l.Platform}
		r.targets = append(r.targets, trust.NewTarget(facts.StoredName(), nil, custom), trust.NewTarget(facts.IndexName(), nil, nil))
	}
	r.sequence = uint64(n - 1)
	r.publish("1.0.0", map[string]string{"f": "one"})
	return r
}

// BenchmarkCheck is what every start of a program pays when nothing is new: time
// on this machine, without a network between, and bytes of bodies and headers.
func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := crowded(b, n)
			var bytes, requests atomic.Int64
			files := http.FileServer(http.Dir(r.dir))
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				requests.Add(1)
				files.ServeHTTP(&counted{w, &bytes}, req)
			}))
			defer server.Close()
			s, err := store.NewHTTP(server.URL, store.HTTPOptions{})
			check(b, err)
			c, err := New(Options{Dir: b.TempDir(), Store: s, Root: r.root, Product: "app", Platform: manifest.AnyPlatform})
			check(b, err)
			_, err = c.Install(b.Context(), UpdateOptions{})
			check(b, err)
			install := bytes.Swap(0)
			requests.Store(0)
			for b.Loop() {
				a, err := c.Check(b.Context())
				check(b, err)
				if a.Latest != nil {
					b.Fatal("there is something new")
				}
			}
			b.ReportMetric(float64(bytes.Load())/float64(b.N), "bytes/check")
			b.ReportMetric(float64(requests.Load())/float64(b.N), "requests/check")
			b.ReportMetric(float64(install), "bytes/install")
		})
	}
}

// counted counts the bytes of bodies.
type counted struct {
	http.ResponseWriter
	bytes *atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

// TestCheckIsSmall: with nothing new it is the timestamp, and the question for a
// root that is not there.
func TestCheckIsSmall(t *testing.T) {
	r := crowded(t, 200)
	c := r.client(t.TempDir())
	_, err := c.Install(t.Context(), UpdateOptions{})
	check(t, err)
	rem, err := c.connect(false)
	check(t, err)
	_, err = rem.releases(t.Context(), "app")
	check(t, err)
	if n, bytes := rem.fetch.requests.Load(), rem.fetch.bytes.Load(); n != 2 || bytes > 2048 {
		t.Errorf("%d requests, %d bytes; want 2 requests, at most 2,048 bytes", n, bytes)
	}
}
