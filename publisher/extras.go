package publisher

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/treegraft-dev/treegraft/trust"
)

// An Extra is a file that is signed along with a release, and that no client
// needs: provenance, a bill of materials.
type Extra struct {
	Name string // such as "sbom.json"
	Data []byte
}

// extraLimit bounds the bytes of an Extra.
const extraLimit = 16 << 20

var extraPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}[a-z0-9]$`)

func checkExtras(all []Extra) error {
	seen := map[string]bool{}
	for _, e := range all {
		switch {
		case !extraPattern.MatchString(e.Name) || e.Name == "json":
			return fmt.Errorf("extra %.80q: want 2 to 64 of a-z 0-9 . - and not json", e.Name)
		case seen[e.Name]:
			return fmt.Errorf("extra %s: twice", e.Name)
		case len(e.Data) == 0 || len(e.Data) > extraLimit:
			return fmt.Errorf("extra %s: %d bytes, want 1 to %d", e.Name, len(e.Data), extraLimit)
		}
		seen[e.Name] = true
	}
	return nil
}

// extraPrefix is what the names of a release's extras begin with.
func (p *published) extraPrefix() string {
	return strings.TrimSuffix(p.facts().IndexName(), "json")
}

// extrasOf returns the targets that are extras of a release.
func extrasOf(p *published, targets []trust.Target) (extras []trust.Target) {
	for _, t := range targets {
		if name, ok := strings.CutPrefix(t.Name, p.extraPrefix()); ok && name != "json" {
			extras = append(extras, t)
		}
	}
	return extras
}

// putExtras stores the extras of the release, and returns them with those that
// stand already.
func (j *job) putExtras(ctx context.Context, standing []trust.Target) ([]trust.Target, error) {
	p := published{}
	p.Product, p.Version, p.Platform = j.manifest.Release.Product, j.manifest.Release.Version, j.manifest.Release.Platform
	for _, e := range j.release.Extras {
		t := trust.NewTarget(p.extraPrefix()+e.Name, e.Data, nil)
		standing = slices.DeleteFunc(standing, func(o trust.Target) bool { return o.Name == t.Name })
		standing = append(standing, t)
		if err := j.put(ctx, t.File(), e.Data); err != nil {
			return nil, err
		}
	}
	return standing, nil
}

// Extra reads an extra of a release, verified.
func (p *Publisher) Extra(ctx context.Context, t trust.Target) ([]byte, error) {
	return fetchTarget(ctx, p.o.Store, t, extraLimit)
}
