package trust

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkRefreshNothingNew is what every start of a program pays.
func BenchmarkRefreshNothingNew(b *testing.B) {
	w := newWorld(b)
	c := w.client()
	w.must(c.Refresh(context.Background()))
	for b.Loop() {
		w.must(c.Refresh(context.Background()))
	}
	var size int
	for _, f := range []string{timestampFile, "metadata/1.snapshot.json", "metadata/1.targets.json", "metadata/1.app.json", "metadata/1.root.json"} {
		size += len(w.files[f])
	}
	b.ReportMetric(float64(len(w.files[timestampFile])), "bytes/nothing-new")
	b.ReportMetric(float64(size), "bytes/all-files")
}

// BenchmarkTargets reads a product with many releases for the first time.
func BenchmarkTargets(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b)
			var list []Target
			for i := range n {
				list = append(list, target(fmt.Sprintf("1.0.%d", i)))
			}
			w.publish(list...)
			opt := w.options()
			for b.Loop() {
				opt.Cache = nil
				c, err := New(opt)
				w.must(err)
				w.must(c.Refresh(context.Background()))
				_, err = c.Targets(context.Background(), "app")
				w.must(err)
			}
			b.ReportMetric(float64(len(w.files["metadata/2.app.json"])), "bytes/product")
		})
	}
}
