package s3

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/treegraft-dev/treegraft/store"
)

const (
	lockName = ".lock"
	// lease is how long a lock holds that is not renewed, and renewal how often
	// it is.
	lease   = 15 * time.Minute
	renewal = 3 * time.Minute

	maxLock = 4 << 10 // bytes of the object
)

// claim is the content of the lock.
type claim struct {
	Holder string `json:"holder"`
	Nonce  string `json:"nonce"` // of this claim alone
}

// errLost means that somebody else has the lock, or had it.
var errLost = errors.New("the lock was lost to another publisher")

// Lock makes its caller the only publisher until unlock, or until it does not
// renew the lock for a quarter of an hour.
func (s *Store) Lock(ctx context.Context, holder string) (unlock func() error, err error) {
	b, err := json.Marshal(claim{holder, rand.Text()})
	if err != nil {
		return nil, err
	}
	h := &held{s: s, claim: b}
	for range 2 {
		var o minio.PutObjectOptions
		o.SetMatchETagExcept("*")
		if err = h.put(ctx, o); !errors.Is(err, fs.ErrExist) {
			break
		}
		other, etag, age, lookErr := s.lookAtLock(ctx)
		switch {
		case errors.Is(lookErr, fs.ErrNotExist):
			continue // it was unlocked in between
		case lookErr != nil:
			return nil, fmt.Errorf("lock %s: %w", s.where, lookErr)
		case age < lease:
			return nil, &store.LockedError{Store: s.where, Holder: other.Holder}
		}
		o = minio.PutObjectOptions{}
		o.SetMatchETag(etag)
		if err = h.put(ctx, o); errors.Is(err, fs.ErrExist) {
			return nil, &store.LockedError{Store: s.where, Holder: other.Holder} // who was faster is not known
		}
		break
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", s.where, err)
	}
	h.keep()
	return h.unlock, nil
}

// lookAtLock returns who has the lock, which version of it that is, and how long
// ago it was written.
func (s *Store) lookAtLock(ctx context.Context) (c claim, etag string, age time.Duration, err error) {
	body, info, _, err := s.core.GetObject(ctx, s.bucket, s.prefix+lockName, minio.GetObjectOptions{})
	if err != nil {
		return c, "", 0, s.failed("read", lockName, err)
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, maxLock))
	if err != nil {
		return c, "", 0, s.failed("read", lockName, err)
	}
	_ = json.Unmarshal(b, &c) // what it says is for people
	return c, info.ETag, time.Since(info.LastModified), nil
}

// held is a lock that is ours.
type held struct {
	s     *Store
	claim []byte
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu   sync.Mutex
	etag string
	lost error
}

// put writes the lock under a condition.
func (h *held) put(ctx context.Context, o minio.PutObjectOptions) error {
	info, err := h.s.core.Client.PutObject(ctx, h.s.bucket, h.s.prefix+lockName, strings.NewReader(string(h.claim)), int64(len(h.claim)), o)
	if err != nil {
		return h.s.failed("write", lockName, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.etag = info.ETag
	return nil
}

// keep renews the lock until stop is called.
func (h *held) keep() {
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.done.Go(func() {
		tick := time.NewTicker(renewal)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := h.renew(ctx); errors.Is(err, errLost) {
				h.mu.Lock()
				h.lost = err
				h.mu.Unlock()
				return
			}
		}
	})
}

// renew writes the lock again, if it is still ours.
func (h *held) renew(ctx context.Context) error {
	h.mu.Lock()
	etag := h.etag
	h.mu.Unlock()
	var o minio.PutObjectOptions
	o.SetMatchETag(etag)
	err := h.put(ctx, o)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return errLost
	}
	return err
}

// unlock ends the lock.
func (h *held) unlock() error {
	h.stop()
	h.done.Wait()
	h.mu.Lock()
	lost := h.lost
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if lost == nil {
		var c claim
		ours, err := claim{}, json.Unmarshal(h.claim, &c)
		if err == nil {
			ours, _, _, err = h.s.lookAtLock(ctx)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("unlock %s: %w", h.s.where, err)
		}
		if err != nil || ours.Nonce != c.Nonce {
			lost = errLost
		}
	}
	if lost != nil {
		return fmt.Errorf("unlock %s: %w", h.s.where, lost)
	}
	return h.s.failed("unlock", lockName, h.s.core.RemoveObject(ctx, h.s.bucket, h.s.prefix+lockName, minio.RemoveObjectOptions{}))
}
