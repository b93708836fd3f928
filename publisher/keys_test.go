package publisher

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

func (w *world) key(kind trust.Kind) (*trust.Key, crypto.PublicKey) {
	w.t.Helper()
	k, err := trust.GenerateKey(kind)
	must(w.t, err)
	pub, err := k.PublicKey()
	must(w.t, err)
	return k, pub
}

// listing returns what is listed of a version of "app".
func (w *world) listing(version string) *manifest.Listing {
	w.t.Helper()
	items, err := w.publisher(nil).List(context.Background(), "app")
	must(w.t, err)
	for i := range items {
		if items[i].Version == version {
			return &items[i].Listing
		}
	}
	w.t.Fatalf("no %s", version)
	return nil
}

func TestWithdraw(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", treetest.Tree{"f": treetest.File("one")}, nil)
	ctx := context.Background()
	p := w.publisher(nil)
	for _, tt := range []Withdrawal{
		{Product: "app", Version: "9.0.0", Reason: "x"},
		{Product: "app", Version: "1.0.0", Reason: "line\nline"},
		{Product: "app", Version: "1.0.0", Retreat: true},
	} {
		if err := p.Withdraw(ctx, tt); err == nil {
			t.Errorf("%+v: want an error", tt)
		}
	}
	if err := p.Withdraw(ctx, Withdrawal{Product: "nope", Version: "1.0.0", Reason: "x"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	must(t, p.Withdraw(ctx, Withdrawal{Product: "app", Version: "1.0.0", Reason: "bad", Retreat: true}))
	if l := w.listing("1.0.0"); l.Withdrawn != "bad" || !l.Retreat {
		t.Errorf("got %+v", l)
	}
	must(t, p.Withdraw(ctx, Withdrawal{Product: "app", Version: "1.0.0"}))
	if l := w.listing("1.0.0"); l.Withdrawn != "" || l.Retreat {
		t.Errorf("got %+v", l)
	}
}

// A product whose key is not with the repository: what its maker publishes is
// live when the owner has merged it.
func TestProposeAndMerge(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.mustPublish("1.0.0", treetest.Tree{"f": treetest.File("one")}, nil)
	maker, public := w.key(trust.ECDSA)
	_, err := w.publisher(func(o *Options) { o.Signers = []trust.Signer{w.release, maker} }).
		SetKeys(ctx, KeyChange{"app", 1, []crypto.PublicKey{public}})
	must(t, err)
	before, err := store.ReadAll(ctx, w.store, timestampName, maxTimestamp)
	must(t, err)

	var proposal []byte
	release := Release{Facts: manifest.Release{Product: "app", Version: "1.1.0"}, Tree: w.tree(treetest.Tree{"f": treetest.File("two")})}
	_, err = w.publisher(func(o *Options) {
		o.Signers = []trust.Signer{maker}
		o.Propose = func(b []byte) error { proposal = b; return nil }
	}).Publish(ctx, release)
	must(t, err)
	after, err := store.ReadAll(ctx, w.store, timestampName, maxTimestamp)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Fatal("a proposal went live")
	}
	changed := bytes.Replace(proposal, []byte("1.1.0"), []byte("6.6.6"), 1)
	if _, err := w.publisher(nil).Merge(ctx, changed); err == nil || !strings.Contains(err.Error(), "have 0 of them") {
		t.Errorf("changed on the way: got %v", err)
	}
	_, err = w.publisher(nil).Merge(ctx, proposal)
	must(t, err)
	if l := w.listing("1.1.0"); l.Sequence != 2 {
		t.Errorf("got %+v", l)
	}
}

// Whatever the keys are, the drills say whether they would do.
func TestRehearseKeys(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.mustPublish("1.0.0", treetest.Tree{"f": treetest.File("one")}, nil)
	drills, err := w.publisher(nil).RehearseKeys(ctx, w.recovery, w.release)
	must(t, err)
	if len(drills) != 4 {
		t.Errorf("%d drills", len(drills))
	}
	for _, d := range drills {
		if d.Err != nil || d.Says == "" {
			t.Errorf("%s: %q, %v", d.Name, d.Says, d.Err)
		}
	}
	if _, err := store.ReadAll(ctx, w.store, "metadata/2.root.json", 1<<20); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a drill was published: %v", err)
	}
	other, _ := w.key(trust.Ed25519)
	drills, err = w.publisher(nil).RehearseKeys(ctx, other, w.release)
	must(t, err)
	if drills[0].Err == nil || drills[1].Err == nil || drills[2].Err != nil {
		t.Errorf("with a wrong recovery key: %+v", drills)
	}
}
