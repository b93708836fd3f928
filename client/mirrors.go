package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// grace is how long the first mirror that has answered waits for the others,
// one of which may be newer. It is what a mirror that hangs can cost.
const grace = 500 * time.Millisecond

// maxTimestamp is what package trust reads of a timestamp.
const maxTimestamp = 16 << 10

// mirrors is one repository in several places. Whoever has answered last is
// asked first, so a bad one is asked once. Nobody is believed: what is fetched
// is verified as from a single place, and asked for elsewhere if it is wrong.
type mirrors struct {
	mu    sync.Mutex
	order []store.Fetcher
}

// openMirrors opens the places of a repository. That they stand in for each
// other goes before patience with any of them.
func openMirrors(locations []string) (*mirrors, error) {
	var m mirrors
	for _, l := range locations {
		f, err := store.Open(l, store.HTTPOptions{Retries: 1, BackOff: 100 * time.Millisecond, Stall: 10 * time.Second})
		if err != nil {
			return nil, err
		}
		m.order = append(m.order, f)
	}
	return &m, nil
}

func (m *mirrors) all() []store.Fetcher {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.order)
}

// first lets a mirror be asked first from now on, and those before it last.
func (m *mirrors) first(f store.Fetcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.order, f); i > 0 {
		m.order = append(slices.Clone(m.order[i:]), m.order[:i]...)
	}
}

// blame lets the mirror that is asked first be asked last.
func (m *mirrors) blame() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.order = append(m.order[1:], m.order[0])
}

// Fetch is that of the first mirror that does not fail at once.
func (m *mirrors) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	var errs []error
	for _, f := range m.all() {
		body, err := f.Fetch(ctx, name, offset, length)
		if err == nil {
			m.first(f)
			return body, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// each does something with what is fetched, and again with what another mirror
// has, until it does not fail.
func (r *remote) each(ctx context.Context, do func() error) error {
	err := do()
	if r.mirrors == nil {
		return err
	}
	var errs []error
	for range len(r.mirrors.all()) - 1 {
		if err == nil || ctx.Err() != nil {
			return err
		}
		errs = append(errs, err)
		r.mirrors.blame()
		err = do()
	}
	if err == nil {
		return nil
	}
	return errors.Join(append(errs, err)...)
}

// answer is what a mirror said when it was asked for its timestamp.
type answer struct {
	from    store.Fetcher
	b       []byte
	version uint64 // that it claims
	err     error
}

// targets refreshes the metadata and returns what a product signs. Of several
// mirrors the newest wins that proves to be genuine: they are tried from the one
// that claims the highest version on.
func (r *remote) targets(ctx context.Context, product string) ([]trust.Target, error) {
	if r.mirrors == nil {
		return r.refresh(ctx, product)
	}
	var errs []error
	for _, a := range r.ask(ctx) {
		err := a.err
		if err == nil {
			r.lead = &a
			var list []trust.Target
			if list, err = r.refresh(ctx, product); err == nil {
				r.mirrors.first(a.from)
				return list, nil
			}
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (r *remote) refresh(ctx context.Context, product string) ([]trust.Target, error) {
	if err := r.trust.Refresh(ctx); err != nil {
		return nil, err
	}
	if product == "" {
		return nil, nil
	}
	list, err := r.trust.Targets(ctx, product)
	if errors.Is(err, fs.ErrNotExist) && !slices.Contains(r.trust.Products(), product) {
		return nil, fmt.Errorf("product %s: %w", product, ErrNoRelease)
	}
	return list, err
}

// ask asks all mirrors for their timestamps at once, and returns the answers that
// came, the newest first and failures last.
func (r *remote) ask(ctx context.Context) []answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := r.mirrors.all()
	came := make(chan answer, len(all))
	for _, f := range all {
		go func() { came <- r.askOne(ctx, f) }()
	}
	var answers []answer
	var patience <-chan time.Time
	for len(answers) < len(all) {
		select {
		case a := <-came:
			answers = append(answers, a)
			if a.err == nil && patience == nil {
				patience = time.After(grace)
			}
			continue
		case <-patience:
		}
		break
	}
	newestFirst(answers)
	return answers
}

// newestFirst sorts answers by the version they claim, and failures last.
func newestFirst(answers []answer) {
	slices.SortStableFunc(answers, func(a, b answer) int {
		if (a.err == nil) != (b.err == nil) {
			if a.err == nil {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.version, a.version)
	})
}

func (r *remote) askOne(ctx context.Context, f store.Fetcher) answer {
	a := answer{from: f}
	a.b, a.err = r.readFrom(ctx, f, timestampName, maxTimestamp)
	var claim struct {
		Signed struct {
			Version uint64 `json:"version"`
		} `json:"signed"`
	}
	if json.Unmarshal(a.b, &claim) == nil {
		a.version = claim.Signed.Version
	}
	return a
}

// metadata reads a file of metadata: from the mirror whose timestamp is being
// tried, if there is one.
func (r *remote) metadata(ctx context.Context, name string, max int64) ([]byte, error) {
	if r.lead == nil {
		return store.ReadAll(ctx, r.fetch, name, max)
	}
	if name == timestampName {
		return r.lead.b, nil
	}
	return r.readFrom(ctx, r.lead.from, name, max)
}

// readFrom reads a file from one mirror, and counts that.
func (r *remote) readFrom(ctx context.Context, f store.Fetcher, name string, max int64) ([]byte, error) {
	b, err := store.ReadAll(ctx, f, name, max)
	r.fetch.requests.Add(1)
	r.fetch.bytes.Add(int64(len(b)))
	return b, err
}
