package publisher

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

const (
	defaultChannel = "stable"
	defaultPacks   = 3
)

// job is one publish under way.
type job struct {
	*session
	release Release
	channel string
	all     []published // of the product
	same    *release    // this very release, when it is published already

	manifest  *manifest.Manifest
	canonical []byte
	stored    []byte           // the manifest as the repository keeps it
	bases     []*release       // where packs start
	packed    []*release       // those of which a pack was made
	known     manifest.Objects // how content is stored, as earlier releases say
	objects   manifest.Objects
	content   *contents
	report    Report
}

// Publish makes and publishes a release. One that is published already, with
// the same tree and facts, is put on the channel if it is not there, and is
// otherwise left alone; with another tree or other facts it is an
// [*ExistsError].
func (p *Publisher) Publish(ctx context.Context, r Release) (_ *Report, err error) {
	j := &job{release: r, channel: cmp.Or(r.Channel, defaultChannel)}
	if err := errors.Join(manifest.CheckName(j.channel), checkRollout(r.Rollout)); err != nil {
		return nil, fmt.Errorf("publish: channel: %w", err)
	}
	if err := checkExtras(r.Extras); err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	if j.session, err = p.begin(ctx); err != nil {
		return nil, err
	}
	defer j.end(&err)
	if j.manifest, err = p.scan(ctx, &r); err != nil {
		return nil, err
	}
	if err := j.place(ctx); err != nil {
		return nil, err
	}
	j.report = Report{Release: &j.manifest.Release, Files: fileCount(j.manifest), Content: j.manifest.Content()}
	if j.same != nil && slices.Contains(j.same.Channels, j.channel) {
		j.report.Already = true
		return &j.report, nil
	}
	if err := j.fits(ctx); err != nil {
		return nil, err
	}
	defer j.close()
	if err := j.prepare(ctx); err != nil {
		return nil, err
	}
	if err := j.live(ctx, func(f store.Fetcher) error { return j.rehearse(ctx, f) }); err != nil {
		return nil, err
	}
	j.report.Written = j.written.Load()
	return &j.report, nil
}

func fileCount(m *manifest.Manifest) (n int) {
	for i := range m.Entries {
		if m.Entries[i].Kind == manifest.File {
			n++
		}
	}
	return n
}

// scan reads the tree and returns the manifest of the release, whose sequence
// may be 0 still. All that is wrong with tree, rules and facts comes in one
// error.
func (p *Publisher) scan(ctx context.Context, r *Release) (*manifest.Manifest, error) {
	progress := counter{p: p, phase: "scan"}
	entries, err := manifest.Scan(ctx, r.Tree, manifest.ScanOptions{Read: progress.add})
	var bad *manifest.InvalidError
	if err != nil && !errors.As(err, &bad) {
		return nil, err
	}
	m := &manifest.Manifest{Release: r.Facts, Entries: entries}
	m.Release.Platform = cmp.Or(m.Release.Platform, manifest.AnyPlatform)
	probe := *m
	probe.Release.Sequence = max(1, m.Release.Sequence)
	all := manifest.InvalidError{What: "release of " + r.Tree}
	if bad != nil {
		all.Faults = bad.Faults
		err = probe.Release.Validate()
	} else {
		all.Faults = applyRules(m, r.Config)
		err = probe.Validate()
	}
	if errors.As(err, &bad) {
		all.Faults = append(all.Faults, bad.Faults...)
	}
	if len(all.Faults) > 0 {
		return nil, &all
	}
	return m, nil
}

// applyRules puts the configuration rules into the entries they name: files by
// their path, or by a pattern as that of [path.Match].
func applyRules(m *manifest.Manifest, rules map[string]manifest.ConfigRule) (faults []manifest.Fault) {
	for _, pattern := range slices.Sorted(maps.Keys(rules)) {
		files := matches(m, pattern)
		if len(files) == 0 {
			faults = append(faults, manifest.Fault{Path: pattern, Reason: "a config rule for what is no file of the release"})
		}
		for _, e := range files {
			if e.Config != manifest.NoConfig && e.Config != rules[pattern] {
				faults = append(faults, manifest.Fault{Path: e.Path, Reason: "two config rules"})
			}
			e.Config = rules[pattern]
		}
	}
	return faults
}

func matches(m *manifest.Manifest, pattern string) (files []*manifest.Entry) {
	if e := m.Lookup(pattern); e != nil && e.Kind == manifest.File {
		return []*manifest.Entry{e}
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		if ok, _ := path.Match(pattern, e.Path); ok && e.Kind == manifest.File {
			files = append(files, e)
		}
	}
	return files
}

// place finds the release's place among those that are published: its
// sequence, and whether it is there already.
func (j *job) place(ctx context.Context) (err error) {
	facts := &j.manifest.Release
	if j.all, err = releases(facts.Product, j.editor.Targets(facts.Product)); err != nil {
		return err
	}
	var same *published
	highest := uint64(0)
	for i := range j.all {
		p := &j.all[i]
		switch {
		case p.Version != facts.Version:
			highest = max(highest, p.Sequence)
		case p.Platform == facts.Platform:
			same = p
		default:
			// The same version on another platform may have the same
			// sequence, if the caller counts.
			if facts.Sequence == 0 {
				highest = max(highest, p.Sequence)
			}
		}
	}
	switch {
	case facts.Sequence == 0 && same != nil:
		facts.Sequence = same.Sequence
	case facts.Sequence == 0:
		facts.Sequence = highest + 1
	case same == nil && facts.Sequence <= highest:
		return &SequenceError{facts.Product, facts.Version, facts.Sequence, highest}
	}
	if j.canonical, err = j.manifest.Canonical(); err != nil {
		return err
	}
	if same == nil {
		return nil
	}
	if j.same, err = load(ctx, j.o.Store, *same); err != nil {
		return err
	}
	if !bytes.Equal(j.same.canonical, j.canonical) {
		return &ExistsError{facts.Product, facts.Version, facts.Platform,
			manifest.Compare(j.same.manifest.Entries, j.manifest.Entries)}
	}
	return nil
}

// prepare stores the release's files, and has the editor list it. The caller
// calls close.
func (j *job) prepare(ctx context.Context) (err error) {
	if j.stored, err = manifest.Compress(j.canonical); err != nil {
		return err
	}
	if err := j.loadBases(ctx); err != nil {
		return err
	}
	if j.content, err = j.openContents(); err != nil {
		return err
	}
	if err := j.putObjects(ctx); err != nil {
		return err
	}
	index, err := j.index(ctx)
	if err != nil {
		return err
	}
	if j.packed, err = j.putPacks(ctx, index); err != nil {
		return err
	}
	return j.putTargets(ctx, index)
}

// close closes what prepare has opened.
func (j *job) close() {
	if j.content != nil {
		j.content.close()
	}
}

// index returns the release's index without the packs still to be made, and
// stores the objects listing that it names.
func (j *job) index(ctx context.Context) (*manifest.Index, error) {
	if j.same != nil {
		index := *j.same.index
		index.Packs = slices.Clone(index.Packs)
		return &index, nil
	}
	listing, err := manifest.EncodeObjects(j.manifest, j.objects)
	if err != nil {
		return nil, err
	}
	facts := &j.manifest.Release
	index := &manifest.Index{Product: facts.Product, Version: facts.Version, Platform: facts.Platform,
		Objects: manifest.ObjectsFile{Size: int64(len(listing)), Digest: manifest.Sum(listing)}}
	return index, j.put(ctx, manifest.ObjectsName(index.Objects.Digest), listing)
}

// putTargets stores manifest and index, and has the editor list them.
func (j *job) putTargets(ctx context.Context, index *manifest.Index) error {
	facts := &j.manifest.Release
	listing := facts.List()
	listing.Channels = []string{j.channel}
	listing.Size, listing.Digest = int64(len(j.canonical)), manifest.Sum(j.canonical)
	if j.same != nil {
		listing = j.same.Listing
		listing.Channels = append(slices.Clone(listing.Channels), j.channel)
		slices.Sort(listing.Channels)
	}
	if j.release.Rollout != nil {
		listing.Rollout = maps.Clone(listing.Rollout)
		setRollout(&listing, j.channel, *j.release.Rollout)
	}
	custom, err := json.Marshal(listing)
	if err != nil {
		return fmt.Errorf("encode listing: %w", err)
	}
	indexed, err := index.Encode()
	if err != nil {
		return err
	}
	added := []trust.Target{trust.NewTarget(facts.StoredName(), j.stored, custom), trust.NewTarget(facts.IndexName(), indexed, nil)}
	targets := slices.DeleteFunc(j.editor.Targets(facts.Product), func(t trust.Target) bool {
		return t.Name == added[0].Name || t.Name == added[1].Name
	})
	if j.same != nil {
		added[0].Length, added[0].SHA256 = j.same.manifestFile.Length, j.same.manifestFile.SHA256
	} else if err := j.put(ctx, added[0].File(), j.stored); err != nil {
		return err
	}
	if err := j.put(ctx, added[1].File(), indexed); err != nil {
		return err
	}
	targets, err = j.putExtras(ctx, append(targets, added...))
	if err != nil {
		return err
	}
	left, err := prune(facts.Product, targets, j.release.Keep)
	if err != nil {
		return err
	}
	return j.editor.SetTargets(facts.Product, left)
}

// rehearse tries the release as it will be: an install, and an update with
// each pack.
func (j *job) rehearse(ctx context.Context, f store.Fetcher) error {
	if j.o.Rehearse == nil {
		return nil
	}
	r := Rehearsal{Store: f, Root: j.o.Root, Release: &j.manifest.Release, Channel: j.channel}
	j.event(Event{Phase: "rehearse", Note: "an install"})
	if err := j.o.Rehearse(ctx, r); err != nil {
		return fmt.Errorf("rehearse: install of %s: %w", r.Release.Version, err)
	}
	for _, base := range j.packed {
		j.event(Event{Phase: "rehearse", Note: "an update from " + base.Version})
		r.From = base.manifest
		r.Seed = j.content.seed(ctx, base)
		if err := j.o.Rehearse(ctx, r); err != nil {
			return fmt.Errorf("rehearse: update from %s to %s: %w", base.Version, r.Release.Version, err)
		}
	}
	return nil
}
