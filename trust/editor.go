package trust

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// EditorOptions are what an [Editor] signs with.
type EditorOptions struct {
	Signers  []Signer         // private keys at hand; each signs the roles that name it
	Now      func() time.Time // nil: time.Now
	Lifetime Lifetime
}

// Lifetime says how long after signing metadata expires. Zero stands for the
// default.
type Lifetime struct {
	Root      time.Duration // 5 years
	Targets   time.Duration // 1 year; also of products
	Snapshot  time.Duration // 90 days
	Timestamp time.Duration // 90 days
}

func (l Lifetime) withDefaults() Lifetime {
	or := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	or(&l.Root, 5*year)
	or(&l.Targets, year)
	or(&l.Snapshot, 90*day)
	or(&l.Timestamp, 90*day)
	return l
}

// A File is metadata to be published.
type File struct {
	Name string // such as "metadata/timestamp.json"
	Data []byte
}

// An Editor makes the next version of a repository's metadata. Nothing is
// published until its caller writes what [Editor.Commit] returns. It is not
// safe for concurrent use.
type Editor struct {
	life Lifetime
	now  func() time.Time
	keys []held

	edition
	before    *rootMeta // the root that is published, reduced to usable keys; nil: none is
	rootBytes []byte
	changed   map[string]bool // roles that must be signed anew

	// adopted has the signatures that came with proposals, by role. What they
	// sign is in edition, and must not be touched any more.
	adopted map[string][]metadata.Signature
}

// edition is one set of metadata. Version 0 stands for a file that has not been
// signed yet.
type edition struct {
	root      *rootMeta
	timestamp *timestampMeta
	snapshot  *snapshotMeta
	targets   *targetsMeta
	products  map[string]*targetsMeta
}

// Create begins a new repository whose root is signed by recovery and everything
// else by release. The first Commit returns its first metadata.
func Create(ctx context.Context, recovery, release Signer, opt EditorOptions) (*Editor, error) {
	opt.Signers = append([]Signer{recovery, release}, opt.Signers...)
	e, err := newEditor(ctx, opt)
	if err != nil {
		return nil, fmt.Errorf("create repository: %w", err)
	}
	if len(e.keys) != len(opt.Signers) {
		return nil, errors.New("create repository: the same key twice")
	}
	e.edition = edition{
		root:      metadata.Root(time.Time{}),
		timestamp: metadata.Timestamp(time.Time{}),
		snapshot:  metadata.Snapshot(time.Time{}),
		targets:   metadata.Targets(time.Time{}),
		products:  map[string]*targetsMeta{},
	}
	e.root.Signed.Version, e.timestamp.Signed.Version = 0, 0
	e.snapshot.Signed.Version, e.targets.Signed.Version = 0, 0
	for i, roles := range [][]string{{metadata.ROOT}, {metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS}} {
		for _, role := range roles {
			if err := e.root.Signed.AddKey(e.keys[i].key, role); err != nil {
				return nil, fmt.Errorf("create repository: %w", err)
			}
			e.changed[role] = true
		}
	}
	return e, nil
}

// Open reads the metadata of a repository, verified as a [Client] verifies it,
// except that expired metadata is welcome: it is about to be renewed.
func Open(ctx context.Context, client Options, opt EditorOptions) (*Editor, error) {
	client.liftAll = true
	c, err := New(client)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	if err := c.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	e, err := newEditor(ctx, opt)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	t := c.trusted
	e.before, e.rootBytes = t.set.Root, t.root
	e.edition = edition{
		timestamp: t.set.Timestamp,
		snapshot:  t.set.Snapshot,
		targets:   t.targets,
		products:  map[string]*targetsMeta{},
	}
	if e.root, err = parse[metadata.RootType]("root.json", metadata.ROOT, t.root, maxRoot); err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	for _, name := range t.products() {
		if e.products[name], err = t.product(ctx, name); err != nil {
			return nil, fmt.Errorf("open repository: %w", err)
		}
	}
	return e, nil
}

func newEditor(ctx context.Context, opt EditorOptions) (*Editor, error) {
	e := &Editor{life: opt.Lifetime.withDefaults(), now: opt.Now, changed: map[string]bool{}, adopted: map[string][]metadata.Signature{}}
	if e.now == nil {
		e.now = time.Now
	}
	for _, s := range opt.Signers {
		h, err := hold(ctx, s)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(e.keys, func(k held) bool { return k.id == h.id }) {
			e.keys = append(e.keys, h)
		}
	}
	return e, nil
}

// Root returns the current root, signed: what a client embeds. It is nil before
// the first Commit of a new repository.
func (e *Editor) Root() []byte { return bytes.Clone(e.rootBytes) }

// RootExpires returns until when the current root is good.
func (e *Editor) RootExpires() time.Time { return e.root.Signed.Expires }

// Products returns the names of all products, sorted.
func (e *Editor) Products() []string { return slices.Sorted(maps.Keys(e.products)) }

// Targets returns the files that a product signs, sorted by name; none if there
// is no such product.
func (e *Editor) Targets(product string) []Target {
	if m := e.products[product]; m != nil {
		return targetsOf(m)
	}
	return nil
}

// SetTargets replaces the files that a product signs. A new product is signed by
// the keys that sign targets. All faults of the targets are reported, joined.
//
// Custom facts are JSON with names in lower case (a-z 0-9 _ - .), whole numbers
// of at most 2^53-1 and no null.
func (e *Editor) SetTargets(product string, targets []Target) error {
	if err := checkProduct(product); err != nil {
		return fmt.Errorf("set targets: %w", err)
	}
	next := make(map[string]*metadata.TargetFiles, len(targets))
	var f faults
	role := delegation(product, nil, 1)
	for _, t := range targets {
		if ok, _ := role.IsDelegatedPath(t.Name); !ok {
			f.add("target %.80q: want %s", t.Name, strings.Join(role.Paths, " or "))
		}
		if next[t.Name] != nil {
			f.add("target %.80q: twice", t.Name)
		}
		if t.Length < 0 || t.Length > maxNumber {
			f.add("target %.80q: length %d", t.Name, t.Length)
		}
		checkTargetName(&f, t.Name)
		file := &metadata.TargetFiles{Length: t.Length, Hashes: metadata.Hashes{"sha256": t.SHA256[:]}}
		if len(t.Custom) > 0 {
			var compact bytes.Buffer
			if err := errors.Join(ours.scanJSON(t.Custom), json.Compact(&compact, t.Custom)); err != nil {
				f.add("target %.80q: custom: %w", t.Name, err)
			}
			raw := json.RawMessage(compact.Bytes())
			file.Custom = &raw
		}
		next[t.Name] = file
	}
	if len(f) > 0 {
		return fmt.Errorf("set targets of %s: %w", product, errors.Join(f...))
	}
	m := e.products[product]
	if m == nil {
		m = e.addProduct(product)
	} else if maps.EqualFunc(m.Signed.Targets, next, sameTarget) {
		return nil
	}
	m.Signed.Targets = next
	e.changed[product] = true
	return nil
}

func sameTarget(a, b *metadata.TargetFiles) bool {
	custom := func(t *metadata.TargetFiles) []byte {
		if t.Custom == nil {
			return nil
		}
		return *t.Custom
	}
	return a.Length == b.Length && bytes.Equal(a.Hashes["sha256"], b.Hashes["sha256"]) && bytes.Equal(custom(a), custom(b))
}

func (e *Editor) addProduct(product string) *targetsMeta {
	signed := &e.targets.Signed
	if signed.Delegations == nil {
		signed.Delegations = &metadata.Delegations{Keys: map[string]*metadata.Key{}}
	}
	top := e.root.Signed.Roles[metadata.TARGETS]
	for _, id := range top.KeyIDs {
		signed.Delegations.Keys[id] = e.root.Signed.Keys[id]
	}
	roles := append(signed.Delegations.Roles, delegation(product, top.KeyIDs, top.Threshold))
	slices.SortFunc(roles, func(a, b metadata.DelegatedRole) int { return strings.Compare(a.Name, b.Name) })
	signed.Delegations.Roles = roles
	e.changed[metadata.TARGETS] = true

	e.products[product] = newTargets()
	return e.products[product]
}

func newTargets() *targetsMeta {
	m := metadata.Targets(time.Time{})
	m.Signed.Version = 0
	return m
}

// delegation says which paths a product may sign. A "*" does not match a slash.
func delegation(product string, ids []string, threshold int) metadata.DelegatedRole {
	return metadata.DelegatedRole{
		Name:        product,
		KeyIDs:      slices.Clone(ids),
		Threshold:   threshold,
		Terminating: true,
		Paths:       []string{"manifests/" + product + "/*/*", "indexes/" + product + "/*/*"},
	}
}

// SetKeys says whose signatures a role needs from now on, and how many of them.
// The role is "root", "timestamp", "snapshot", "targets" or a product.
func (e *Editor) SetKeys(role string, threshold int, keys ...crypto.PublicKey) error {
	ids := []string{}
	all := map[string]*metadata.Key{}
	for _, pub := range keys {
		k, id, err := publicKey(pub)
		if err != nil {
			return fmt.Errorf("set keys of %s: %w", role, err)
		}
		if all[id] != nil {
			return fmt.Errorf("set keys of %s: key %s twice", role, id)
		}
		all[id] = k
		ids = append(ids, id)
	}
	if threshold < 1 || threshold > len(ids) {
		return fmt.Errorf("set keys of %s: threshold %d with %d keys", role, threshold, len(ids))
	}
	slices.Sort(ids)
	if r := e.root.Signed.Roles[role]; r != nil {
		r.KeyIDs, r.Threshold = ids, threshold
		maps.Copy(e.root.Signed.Keys, all)
		e.changed[metadata.ROOT], e.changed[role] = true, true
	} else if r := delegated(e.targets, role); r != nil {
		r.KeyIDs, r.Threshold = ids, threshold
		maps.Copy(e.targets.Signed.Delegations.Keys, all)
		e.changed[metadata.TARGETS], e.changed[role] = true, true
	} else {
		return fmt.Errorf("set keys of %.80q: want root, timestamp, snapshot, targets or a product that is published", role)
	}
	e.dropKeys()
	return nil
}

// delegated returns what m says about a product, or nil.
func delegated(m *targetsMeta, product string) *metadata.DelegatedRole {
	if d := m.Signed.Delegations; d != nil {
		for i := range d.Roles {
			if d.Roles[i].Name == product {
				return &d.Roles[i]
			}
		}
	}
	return nil
}

// ReplaceKey puts a new key in the place of an old one, in every role that names
// it: the answer to a stolen or lost key. All that the old key signed is signed
// anew.
func (e *Editor) ReplaceKey(old, new crypto.PublicKey) error {
	_, oldID, err := publicKey(old)
	if err != nil {
		return fmt.Errorf("replace key: old: %w", err)
	}
	key, newID, err := publicKey(new)
	if err != nil {
		return fmt.Errorf("replace key: new: %w", err)
	}
	replace := func(ids []string) (bool, error) {
		i := slices.Index(ids, oldID)
		if i >= 0 && slices.Contains(ids, newID) {
			return false, fmt.Errorf("replace key %s: %s is in the same role already", oldID, newID)
		}
		if i >= 0 {
			ids[i] = newID
		}
		return i >= 0, nil
	}
	found := false
	for name, r := range e.root.Signed.Roles {
		if ok, err := replace(r.KeyIDs); err != nil {
			return err
		} else if ok {
			found, e.changed[name], e.changed[metadata.ROOT] = true, true, true
			e.root.Signed.Keys[newID] = key
		}
	}
	if d := e.targets.Signed.Delegations; d != nil {
		for i := range d.Roles {
			if ok, err := replace(d.Roles[i].KeyIDs); err != nil {
				return err
			} else if ok {
				found, e.changed[d.Roles[i].Name], e.changed[metadata.TARGETS] = true, true, true
				d.Keys[newID] = key
			}
		}
	}
	if !found {
		return fmt.Errorf("replace key %s: no role names it", oldID)
	}
	e.dropKeys()
	return nil
}

// dropKeys forgets keys that no role names any more.
func (e *Editor) dropKeys() {
	used := map[string]bool{}
	for _, r := range e.root.Signed.Roles {
		for _, id := range r.KeyIDs {
			used[id] = true
		}
	}
	maps.DeleteFunc(e.root.Signed.Keys, func(id string, _ *metadata.Key) bool { return !used[id] })
	if d := e.targets.Signed.Delegations; d != nil {
		clear(used)
		for _, r := range d.Roles {
			for _, id := range r.KeyIDs {
				used[id] = true
			}
		}
		maps.DeleteFunc(d.Keys, func(id string, _ *metadata.Key) bool { return !used[id] })
	}
}
