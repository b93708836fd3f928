package publisher

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// defaultGrace is how long a file stays after it went out of use.
const defaultGrace = 7 * 24 * time.Hour

// Collection says which files [Publisher.Collect] may delete.
type Collection struct {
	// Grace is how long a file must have been out of use. Within it, a client
	// that has begun with older metadata finds all that this names, and a publish
	// that was cut short, or a proposal, keeps what it has stored. Default 7 days;
	// negative: no time at all.
	Grace  time.Duration
	DryRun bool // delete nothing
}

// Collected says what was deleted, or would have been.
type Collected struct {
	Files []store.Info // sorted by name
	Bytes int64        // of Files
	Young int          // files out of use, but not for long enough
	Used  int          // files that stay for good, as things are
}

// Collect deletes what no listed release names: objects, packs, manifests and
// indexes, and metadata that newer versions took the place of. It needs no keys.
//
// Roots stay for ever, since a client starts from the oldest, and so does every
// file that is not of a kind that publishers write. Nothing is deleted unless
// all listed releases can be read: what cannot be read might name anything. What
// a stopped Collect has not deleted, the next one does.
//
// Ages go by the times that the store gives its files, and by Options.Now.
func (p *Publisher) Collect(ctx context.Context, c Collection) (_ *Collected, err error) {
	s, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer s.end(&err)
	g := &collector{session: s, old: p.o.Now().Add(-max(0, cmp.Or(c.Grace, defaultGrace))), used: map[string]bool{timestampName: true}}
	if err := g.survey(ctx); err != nil {
		return nil, err
	}
	if err := g.mark(ctx); err != nil {
		return nil, fmt.Errorf("collect: nothing is deleted from a repository that cannot be read whole: %w", err)
	}
	done := g.choose()
	if c.DryRun {
		return done, nil
	}
	return done, g.delete(ctx, done.Files)
}

// collector is one collection under way.
type collector struct {
	*session
	old  time.Time // what is as old as this, or older, has had its grace
	all  []store.Info
	used map[string]bool
}

// survey lists the store.
func (g *collector) survey(ctx context.Context) error {
	for file, err := range g.o.Store.List(ctx, "") {
		if err != nil {
			return err
		}
		g.all = append(g.all, file)
	}
	return nil
}

// mark finds what is in use: all that the newest metadata names, and all that
// older metadata names which was the newest within the grace.
func (g *collector) mark(ctx context.Context) error {
	for _, product := range g.editor.Products() {
		if err := g.markTargets(ctx, product, g.editor.Targets(product)); err != nil {
			return err
		}
	}
	for role, versions := range g.metadata() {
		if role == "root" {
			for _, v := range versions {
				g.used[v.Name] = true
			}
			continue
		}
		live := slices.IndexFunc(versions, func(v version) bool { return slices.Contains(g.editor.Current(), v.Name) })
		for i := range live + 1 {
			if i < live && !versions[i+1].Modified.After(g.old) {
				continue // out of use since the next one came
			}
			g.used[versions[i].Name] = true
			if i < live {
				g.markOlder(ctx, role, versions[i])
			}
		}
	}
	return nil
}

// markTargets marks the files of all releases that a product lists. It reads
// every one of them, even after an error.
func (g *collector) markTargets(ctx context.Context, product string, targets []trust.Target) error {
	for _, t := range targets {
		g.used[t.File()] = true
	}
	all, err := releases(product, targets)
	if err != nil {
		return err
	}
	for _, r := range all {
		loaded, loadErr := load(ctx, g.o.Store, r)
		if loadErr != nil {
			err = cmp.Or(err, fmt.Errorf("release %s %s for %s: %w", r.Product, r.Version, r.Platform, loadErr))
			continue
		}
		for name := range loaded.files() {
			g.used[name] = true
		}
	}
	return err
}

// markOlder marks what an older version of a product's metadata names. Nobody
// verifies that file here, and what it says can only keep files; the documents
// of its releases are verified by the digests it gives. If some are lost, a
// client that has begun with that version is beyond help.
func (g *collector) markOlder(ctx context.Context, product string, v version) {
	targets, err := g.unverified(ctx, v.Info)
	if err == nil {
		err = g.markTargets(ctx, product, targets)
	}
	if err != nil {
		g.event(Event{Phase: "collect", Note: fmt.Sprintf("%s: %v", v.Name, err)})
	}
}

// maxMetadata bounds the bytes of metadata that is read without knowing its size.
const maxMetadata = 16 << 20

func (g *collector) unverified(ctx context.Context, file store.Info) (targets []trust.Target, err error) {
	b, err := store.ReadAll(ctx, g.o.Store, file.Name, maxMetadata)
	if err != nil {
		return nil, err
	}
	var m struct {
		Signed struct {
			Targets map[string]struct {
				Length int64
				Hashes map[string]string
				Custom json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	for name, f := range m.Signed.Targets {
		sum, err := hex.DecodeString(f.Hashes["sha256"])
		if err != nil || len(sum) != 32 {
			return nil, fmt.Errorf("target %.80q: want a sha256", name)
		}
		targets = append(targets, trust.Target{Name: name, Length: f.Length, SHA256: [32]byte(sum), Custom: f.Custom})
	}
	return targets, nil
}

// version is a file of metadata.
type version struct {
	store.Info
	number int64
}

// metadata returns the files of each role, in order of their versions.
func (g *collector) metadata() map[string][]version {
	roles := map[string][]version{}
	for _, file := range g.all {
		if number, role, ok := parseMetadata(file.Name); ok {
			roles[role] = append(roles[role], version{file, number})
		}
	}
	for _, versions := range roles {
		slices.SortFunc(versions, func(a, b version) int { return cmp.Compare(a.number, b.number) })
	}
	return roles
}

// parseMetadata takes names such as metadata/12.snapshot.json apart.
func parseMetadata(name string) (number int64, role string, ok bool) {
	rest, isMetadata := strings.CutPrefix(name, "metadata/")
	digits, rest, isVersioned := strings.Cut(rest, ".")
	role, isJSON := strings.CutSuffix(rest, ".json")
	number, err := strconv.ParseInt(digits, 10, 64)
	return number, role, isMetadata && isVersioned && isJSON && role != "" && err == nil && number > 0 && digits[0] != '0'
}

// stages are the kinds of files that may be deleted, in this order: who begins
// with metadata that is too old is told so at once, and not in the middle.
var stages = [...][]string{{"metadata/"}, {"indexes/", "manifests/"}, {"objects/", "packs/"}}

func stageOf(name string) int {
	return slices.IndexFunc(stages[:], func(prefixes []string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	})
}

// choose returns what has been out of use for long enough.
func (g *collector) choose() *Collected {
	done := &Collected{}
	for _, file := range g.all {
		_, _, versioned := parseMetadata(file.Name)
		stage := stageOf(file.Name)
		switch {
		case g.used[file.Name] || stage < 0 || stage == 0 && !versioned:
			done.Used++
		case file.Modified.After(g.old):
			done.Young++
		default:
			done.Files = append(done.Files, file)
			done.Bytes += file.Size
		}
	}
	return done
}

// delete deletes files, stage by stage.
func (g *collector) delete(ctx context.Context, files []store.Info) error {
	progress := &counter{p: g.Publisher, phase: "collect"}
	for _, file := range files {
		progress.total += file.Size
	}
	byStage := map[int][]store.Info{}
	for _, file := range files {
		byStage[stageOf(file.Name)] = append(byStage[stageOf(file.Name)], file)
	}
	for _, stage := range slices.Sorted(maps.Keys(byStage)) {
		for some := range slices.Chunk(byStage[stage], atOnce) {
			if err := g.deleteSome(ctx, some, progress); err != nil {
				return err
			}
		}
	}
	return g.tidy(ctx)
}

// A tidier is a store with folders: who is stopped while deleting may leave empty
// ones.
type tidier interface {
	Tidy(ctx context.Context, folder string) error
}

func (g *collector) tidy(ctx context.Context) error {
	t, ok := g.o.Store.(tidier)
	if !ok {
		return nil
	}
	for _, folder := range slices.Concat(stages[:]...) {
		if err := t.Tidy(ctx, strings.TrimSuffix(folder, "/")); err != nil {
			return err
		}
	}
	return nil
}

// atOnce is how many files are deleted after one look at the timestamp. What was
// out of use may be in use again once somebody else has published, who can only be
// where the lock was lost.
const atOnce = 256

func (g *collector) deleteSome(ctx context.Context, files []store.Info, progress *counter) error {
	if err := g.unchanged(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(pushers)
	for _, file := range files {
		group.Go(func() error {
			err := g.o.Store.Delete(ctx, file.Name)
			progress.add(file.Size)
			return err
		})
	}
	return group.Wait()
}
