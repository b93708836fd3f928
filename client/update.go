package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// UpdateOptions says how far an update may go. The zero value brings the tree
// to the head of its channel.
type UpdateOptions struct {
	Version   string // default: the head of the channel
	Force     bool   // keep local changes aside instead of refusing
	Offline   bool   // use what has been fetched; make no request
	Downgrade bool   // allow an older release than the installed one
	One       bool   // stop after the first hop of the route
	Probation Probation

	Now   bool // outside of the hours for updates too, if the policy allows that
	Defer bool // leave migrations to [Client.Setup]; programs cannot start before
	Pin   bool // stay at Version, also in later updates

	// Programs that use the tree are asked to let go of it, then to end: so long
	// each; 0 is a default. Evict ends those that do not.
	Disconnect, Down time.Duration
	Evict            bool
}

// Plan works out how to bring the tree to o.Version, or to the first stop on the
// way there: see [Plan.Route]. It downloads what planning needs: metadata, the
// release's index, and its manifest.
func (c *Client) Plan(ctx context.Context, o UpdateOptions) (*Plan, error) {
	s, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer s.end()
	r, err := c.connect(o.Offline)
	if err != nil {
		return nil, err
	}
	p, err := s.plan(ctx, r, o)
	if err != nil || p.UpToDate() {
		return p, err
	}
	var obstacles *atomicfs.PreflightError
	if err := s.tree.Preflight(ctx, p.changes, p.Download); errors.As(err, &obstacles) {
		p.Obstacles = obstacles.Obstacles
	} else if err != nil {
		return nil, err
	}
	return p, nil
}

// Fetch downloads everything that p needs and is not here yet. A broken
// download is resumed, also by a later run.
func (c *Client) Fetch(ctx context.Context, p *Plan) error {
	if err := c.notHeld(); err != nil {
		return err
	}
	s, err := c.begin()
	if err != nil {
		return err
	}
	defer s.end()
	r, err := c.connect(false)
	if err != nil {
		return err
	}
	if p.UpToDate() {
		return nil
	}
	if err := s.tree.Preflight(ctx, p.changes, p.Download); err != nil {
		return err
	}
	if err := r.download(ctx, p, c); err != nil {
		return err
	}
	return atomicfs.WriteFile(c.state(fetchedName), []byte(p.To.Version), 0o600)
}

// Apply stages and commits p. Content that turns out to be missing is fetched,
// unless o.Offline is set.
func (c *Client) Apply(ctx context.Context, p *Plan, o UpdateOptions) (*Result, error) {
	s, err := c.beginNew()
	if err != nil {
		return nil, err
	}
	defer s.end()
	r, err := c.connect(o.Offline)
	if err != nil {
		return nil, err
	}
	if res, err := s.takeUp(ctx, o); res != nil || err != nil {
		return res, err
	}
	return s.apply(ctx, r, p, o, verbUpdate)
}

// Update plans, fetches and applies, hop by hop, see [Plan.Route]. A tree that is
// at the release already is left alone. Where a hop fails, the result beside the
// error, if there is one, says how far it came.
func (c *Client) Update(ctx context.Context, o UpdateOptions) (*Result, error) {
	s, err := c.beginInstalled()
	if err != nil {
		return nil, err
	}
	defer s.end()
	return s.update(ctx, o, verbUpdate)
}

// Install brings an empty folder, or one whose files are in no release's way,
// to a release, and remembers the client's options as the tree's settings. What
// they leave out is as for the product of the tree that others depend on.
// An install that was cut short is begun again by the same call, and goes on
// from what it had downloaded.
func (c *Client) Install(ctx context.Context, o UpdateOptions) (*Result, error) {
	root, err := c.root()
	if errors.Is(err, ErrNotInstalled) || c.settings.Product == "" {
		return nil, errors.New("install: want a trusted root.json and a product")
	}
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.o.Dir, 0o755); err != nil {
		return nil, err
	}
	s, err := c.beginNew()
	if err != nil {
		return nil, err
	}
	defer s.end()
	if err := c.saveSettings(root); err != nil {
		return nil, err
	}
	if c.like != "" {
		c.emit(Event{Phase: Planning, Note: fmt.Sprintf("%s comes from %s, on channel %s, as %s does", c.settings.Product, c.settings.Repository, c.settings.Channel, c.like)})
	}
	return s.update(ctx, o, verbInstall)
}

// update goes along the route, hop by hop: each is an update of its own, and a
// route can stop between two. Without network it goes as far as was fetched,
// which is one hop.
func (s *session) update(ctx context.Context, o UpdateOptions, verb string) (*Result, error) {
	res, err := s.takeUp(ctx, o)
	if err != nil || res != nil && o.One {
		return res, err
	}
	if verb == verbUpdate {
		if err := s.c.notHeld(); err != nil { // before any request
			return res, err
		}
	}
	more, err := s.fetchAndApply(ctx, o, verb)
	if res == nil || err == nil && !more.UpToDate {
		return res.then(more), err
	}
	return res, err
}

// fetchAndApply goes along the route, from what is installed.
func (s *session) fetchAndApply(ctx context.Context, o UpdateOptions, verb string) (*Result, error) {
	r, err := s.c.connect(o.Offline)
	if err != nil {
		return nil, err
	}
	c, err := s.choose(ctx, r, o)
	if err != nil {
		return nil, err
	}
	if len(c.hops) == 0 {
		return s.apply(ctx, r, s.stay(c), o, verb)
	}
	var whole *Result
	for i := range c.hops {
		p, err := s.planHop(ctx, r, c, i, true)
		if err != nil {
			return whole, err
		}
		hop := o
		last := i == len(c.hops)-1 || o.One || o.Offline
		if !last {
			hop.Probation = Probation{} // nobody starts a release that is only passed through
		}
		done, err := s.apply(ctx, r, p, hop, verb)
		if whole = whole.then(done); err != nil || last {
			return whole, err
		}
		s.c.emit(Event{Phase: Planning, Note: fmt.Sprintf("on the way to %s: at %s", c.Head.Version, p.To.Version)})
		if err := s.load(); err != nil {
			return whole, err
		}
	}
	return whole, nil
}

// plan works out the first hop.
func (s *session) plan(ctx context.Context, r *remote, o UpdateOptions) (*Plan, error) {
	c, err := s.choose(ctx, r, o)
	if err != nil {
		return nil, err
	}
	if len(c.hops) == 0 {
		return s.stay(c), nil
	}
	return s.planHop(ctx, r, c, 0, false)
}

// stay is the plan of a tree that is where it should be.
func (s *session) stay(c *chosen) *Plan {
	return &Plan{From: s.facts(), To: s.facts(), Content: s.installed.Content(), Reuse: s.installed.Content(), Passed: c.Passed,
		job: job{from: s.digest, to: s.installed}}
}

// planHop works out a hop of a route. Where the update follows at once, whole
// saves requests by fetching the pack together with its head.
func (s *session) planHop(ctx context.Context, r *remote, c *chosen, hop int, whole bool) (*Plan, error) {
	s.c.emit(Event{Phase: Planning})
	if err := os.MkdirAll(r.dir, 0o700); err != nil { // the hop before has tidied up
		return nil, err
	}
	j, err := s.job(ctx, r, c.hops[hop], whole)
	if err != nil {
		return nil, err
	}
	p, err := s.finish(ctx, r, j)
	if err == nil {
		err = s.foresee(p)
		p.Route, p.Passed = versions(c.Route[hop:]), c.Passed
	}
	return p, err
}

// job fetches the documents of a release: its index, and its manifest by the
// cheapest way.
func (s *session) job(ctx context.Context, r *remote, x *release, whole bool) (*job, error) {
	index, err := r.index(ctx, x)
	if err != nil {
		return nil, err
	}
	j := &job{from: s.digest, listing: index.Objects}
	if err := s.fromPack(ctx, r, x, index, j, whole); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		s.c.emit(Event{Phase: Planning, Note: "the pack cannot be used: " + err.Error()})
		j.pack, j.head, j.encoded = nil, nil, nil
	}
	if j.encoded == nil {
		if j.encoded, err = r.wholeManifest(ctx, x); err != nil {
			return nil, err
		}
	}
	return j, j.parse(s.installed, x)
}

// fromPack fills in what the pack from the installed release gives, if the
// repository has one.
func (s *session) fromPack(ctx context.Context, r *remote, x *release, index *manifest.Index, j *job, whole bool) error {
	i := slices.IndexFunc(index.Packs, func(p manifest.Pack) bool { return p.FromDigest == s.digest })
	if s.installed == nil || i < 0 {
		return nil
	}
	j.pack = &index.Packs[i]
	p, err := r.openPack(*j.pack)
	if err != nil {
		return err
	}
	defer p.Close()
	err = r.each(ctx, func() error {
		j.head, err = p.head(ctx, whole)
		return err
	})
	if err != nil {
		return err
	}
	j.encoded, err = p.manifest(ctx, j.head, delta.Ref{Digest: x.Digest, Size: x.Size}, s.seed(&local{}))
	return err
}

// parse fills in what follows from the encoded manifest.
func (j *job) parse(installed *manifest.Manifest, x *release) (err error) {
	if j.to, err = manifest.Parse(bytes.NewReader(j.encoded)); err != nil {
		return err
	}
	if err := x.Check(&j.to.Release); err != nil {
		return err
	}
	j.changes = treeChanges(installed, j.to)
	return nil
}

// finish looks at the tree and completes a plan for j.
func (s *session) finish(ctx context.Context, r *remote, j *job) (*Plan, error) {
	others, err := s.others()
	if err != nil {
		return nil, err
	}
	if err := together(j.to.Release.Product, j.to, others); err != nil {
		return nil, err
	}
	j.changes = keepFolders(j.changes, others)
	if err := s.adaptConfig(j); err != nil {
		return nil, err
	}
	l, err := s.look(ctx, j.changes, others, wanted(j.changes, j.head))
	if err != nil {
		return nil, err
	}
	for i, c := range j.changes {
		if c.Old != nil && c.New != nil && l.bad[c.Path] && c.New.Kind == atomicfs.File && c.Old.Digest == c.New.Digest {
			j.changes[i].Old = nil // not a change of mode alone: its content must come
		}
	}
	for d, path := range l.content { // edited, it has other content
		if slices.ContainsFunc(j.edited, func(e edited) bool { return e.path == path }) {
			delete(l.content, d)
		}
	}
	j.local = l
	p := &Plan{From: s.facts(), To: &j.to.Release, job: *j, Drift: drifts(l.drift)}
	p.Steps = decide(j.changes, l, j.head, s.digest)
	if len(p.contents(Get)) > 0 {
		if err := r.needObjects(ctx, p); err != nil {
			return nil, err
		}
	}
	packHere := int64(0)
	if p.pack != nil {
		if info, err := os.Stat(r.kept(p.pack.HeadDigest.String() + ".pack")); err == nil {
			packHere = info.Size()
		}
	}
	p.price(packHere, func(o manifest.Object) bool {
		info, err := os.Stat(r.kept(o.Digest.String()))
		return err == nil && info.Size() == o.Size
	})
	return p, nil
}

// download brings all that a plan needs into the downloads folder.
func (r *remote) download(ctx context.Context, p *Plan, c *Client) error {
	start := r.fetch.bytes.Load()
	progress := func(int64) {
		c.emit(Event{Phase: Fetching, Done: r.fetch.bytes.Load() - start, Total: p.Download})
	}
	if len(p.contents(Patch)) > 0 {
		pack, err := r.openPack(*p.pack)
		if err != nil {
			return err
		}
		defer pack.Close()
		if err := pack.fill(ctx, pack.pack.Size, progress); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(smallWorkers)
	for _, ref := range p.contents(Get) {
		g.Go(func() error {
			o := p.objects[ref.Digest]
			return r.file(ctx, manifest.ObjectName(ref.Digest), r.kept(o.Digest.String()),
				store.Content{Size: o.Size, Digest: o.Digest}, progress)
		})
	}
	return g.Wait()
}
