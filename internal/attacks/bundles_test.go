package attacks

import (
	"context"
	"time"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/store"
)

// bundles are folders that travel without network.
func bundles() []attack {
	make := func(w *world) {
		dir := w.t.TempDir()
		to, err := store.OpenDir(dir)
		w.must(err)
		w.must(second(w.publisher(w.release).Bundle(context.Background(), to, publisher.Bundle{Product: "app"})))
		w.repo = dir // from here on it is all there is
	}
	after := func(w *world, days int) {
		make(w)
		w.now = w.now.Add(time.Duration(days) * day)
	}
	from := func(accept bool) func(w *world) error {
		return func(w *world) error {
			c := w.client(func(o *client.Options) { o.Store, o.Repository, o.AcceptExpired = nil, w.repo, accept })
			return second(c.Update(context.Background(), client.UpdateOptions{}))
		}
	}
	all := []attack{
		{name: "bundle", do: make, run: from(false)},
		{name: "bundle after 80 days", do: func(w *world) { after(w, 80) }, run: from(false)},
		{name: "expired bundle", do: func(w *world) { after(w, 200) }, run: from(false), want: "trust.ExpiredError", last: true},
		{name: "expired bundle, accepted on demand", do: func(w *world) { after(w, 200) }, run: from(true)},
		{name: "expired bundle, accepted on demand, with expired targets", do: func(w *world) { after(w, 400) }, run: from(true),
			want: "trust.ExpiredError", last: true},
		{name: "expired repository, accepted on demand, but from a server", do: func(w *world) { w.now = w.now.Add(200 * day) },
			run: func(w *world) error {
				c := w.client(func(o *client.Options) { o.AcceptExpired = true })
				return second(c.Update(context.Background(), client.UpdateOptions{}))
			}, want: "client.ErrOnline"},
	}
	return append(all, tampered(make, from(true))...)
}

// tampered bundles are no better for being accepted.
func tampered(make func(w *world), run func(w *world) error) []attack {
	return []attack{
		{name: "tampered bundle, accepted on demand", want: "trust.SignatureError", last: true, run: run, do: func(w *world) {
			make(w)
			s := w.signedPart(timestamp)
			s["version"] = 9
			w.sign(timestamp, s, w.recovery)
		}},
		{name: "older bundle than what was seen", want: "trust.RollbackError", last: true, run: run, do: func(w *world) {
			w.must(w.update())
			w.copyFrom(w.old, w.repo)
		}},
	}
}
