package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

func obstacles(kinds ...string) error {
	e := &atomicfs.PreflightError{}
	for _, k := range kinds {
		e.Obstacles = append(e.Obstacles, atomicfs.Obstacle{Path: "a", Kind: k})
	}
	return e
}

func TestCodeOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Code
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{client.ErrNotInstalled, 1},
		{os.ErrNotExist, 1},
		{&UsageError{"no"}, 2},
		{&trust.SignatureError{Err: errors.New("none")}, 30},
		{&trust.FormatError{Err: errors.New("no JSON")}, 30},
		{&trust.ExpiredError{}, 31},
		{&trust.RollbackError{}, 31},
		{&trust.ContentError{}, 32},
		{&store.MismatchError{}, 32},
		{&store.LimitError{}, 32},
		{&delta.DigestError{}, 32},
		{&delta.FormatError{}, 32},
		{&delta.LimitError{}, 32},
		{&client.DriftError{}, 32},
		{&atomicfs.DriftError{}, 32},
		{&client.DamagedError{}, 32},
		{&atomicfs.LockedError{}, 40},
		{&store.LockedError{}, 40},
		{syscall.ENOSPC, 50},
		{obstacles("space"), 50},
		{obstacles("inodes"), 50},
		{obstacles("space", "permission"), 51},
		{obstacles("immutable", "space"), 51},
		{obstacles("mount point"), 1},
		{fs.ErrPermission, 51},
		{syscall.EROFS, 51},
		{&store.StatusError{Status: 404}, 60},
		{&store.StatusError{Status: 403}, 60}, // the server's permission, not the system's
		{&url.Error{Op: "Get", Err: errors.New("refused")}, 60},
		{context.DeadlineExceeded, 60},
		{store.ErrChanged, 60},
		{atomicfs.ErrNeedsRecovery, 71},
		{errors.Join(syscall.ENOSPC, atomicfs.ErrNeedsRecovery), 71}, // the worse one
		{context.Canceled, 130},
		{&url.Error{Op: "Get", Err: context.Canceled}, 130},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("%v: want %d, got %d", c.err, c.want, got)
		}
		if c.err == nil {
			continue
		}
		if got := CodeOf(fmt.Errorf("update: %w", c.err)); got != c.want {
			t.Errorf("wrapped %v: want %d, got %d", c.err, c.want, got)
		}
	}
}

// TestMeanings keeps the table complete, in order and without doubles.
func TestMeanings(t *testing.T) {
	last := Code(-1)
	for _, m := range meanings {
		if m.code <= last {
			t.Errorf("code %d comes after %d", m.code, last)
		}
		last = m.code
		if !strings.Contains(codesText(), fmt.Sprintf("%3d  %s\n", m.code, m.meaning)) {
			t.Errorf("code %d is not printed", m.code)
		}
	}
	if len(meanings) != 23 {
		t.Errorf("want the 23 codes that are promised, got %d", len(meanings))
	}
}
