package atomicfs

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Snapshot describes the replaced files of one commit.
type Snapshot struct {
	Seq     uint64
	ID      string    // of the change it takes back
	Time    time.Time // of the commit
	Changes int       // entries, folders included
	Bytes   int64     // of replaced files
}

// Snapshots lists the snapshots, oldest first.
func (t *Tree) Snapshots() ([]Snapshot, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	seqs, err := t.validSeqs()
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	var all []Snapshot
	for _, seq := range seqs {
		j, err := t.loadSnapshot(seq)
		if err != nil {
			return nil, fmt.Errorf("list snapshots: %w", err)
		}
		s := Snapshot{Seq: seq, ID: j.id, Time: j.time, Changes: len(j.records)}
		for _, r := range j.records {
			if r.oldSlot != 0 {
				s.Bytes += r.old.Size
			}
		}
		all = append(all, s)
	}
	return all, nil
}

func (t *Tree) validSeqs() (valid []uint64, err error) {
	seqs, err := t.snapshotSeqs()
	for _, seq := range seqs {
		ok, err := t.isSnapshot(seq)
		if err != nil {
			return nil, err
		}
		if ok {
			valid = append(valid, seq)
		}
	}
	return valid, err
}

func (t *Tree) loadSnapshot(seq uint64) (*journal, error) {
	j, err := t.load(snapshotJournal(seq))
	if err == nil && (j == nil || j.rollback || j.seq != seq) {
		err = fmt.Errorf("snapshot %d: its journal is of something else", seq)
	}
	return j, err
}

// DropSnapshots removes all but the newest keep snapshots.
func (t *Tree) DropSnapshots(keep int) error {
	if err := t.usable(); err != nil {
		return err
	}
	seqs, err := t.validSeqs()
	if err != nil {
		return fmt.Errorf("drop snapshots: %w", err)
	}
	return t.DropSnapshot(seqs[:max(0, len(seqs)-max(0, keep))]...)
}

// DropSnapshot removes snapshots by their numbers.
func (t *Tree) DropSnapshot(seqs ...uint64) error {
	if err := t.usable(); err != nil {
		return err
	}
	for _, seq := range seqs {
		// Without its journal a snapshot is litter, however little of it goes.
		err := t.disk.remove(snapshotJournal(seq))
		if err == nil {
			err = t.disk.syncDir(snapshotDir(seq))
		}
		if err == nil {
			err = t.disk.removeAll(snapshotDir(seq))
		}
		if err != nil {
			return fmt.Errorf("drop snapshot %d: %w", seq, err)
		}
	}
	return nil
}

// Rollback brings back what the last snapshot holds, or the one that o names,
// and uses it up. It needs
// no network, and no space beyond folder entries. Drift is treated as by
// [Stage.Commit]; what was kept beside stays there.
func (t *Tree) Rollback(ctx context.Context, o CommitOptions) (Result, error) {
	if err := t.usable(); err != nil {
		return Result{}, fmt.Errorf("roll back: %w", err)
	}
	seqs, err := t.validSeqs()
	if err != nil {
		return Result{}, fmt.Errorf("roll back: %w", err)
	}
	if len(seqs) == 0 || o.Snapshot != 0 && !slices.Contains(seqs, o.Snapshot) {
		return Result{}, fmt.Errorf("roll back: %w", ErrNoSnapshot)
	}
	j, err := t.loadSnapshot(cmp.Or(o.Snapshot, seqs[len(seqs)-1]))
	if err != nil {
		return Result{}, fmt.Errorf("roll back: %w", err)
	}
	res, err := t.change(ctx, cmp.Or(o.Version, j.id+" rolled back"), func(t *Tree) (Result, error) { return t.rollback(ctx, j, o) })
	if err != nil {
		return res, fmt.Errorf("roll back %q: %w", j.id, err)
	}
	return res, nil
}

// rollback is a commit of the opposite changes, with the snapshot in place of
// the staging.
func (t *Tree) rollback(ctx context.Context, j *journal, o CommitOptions) (Result, error) {
	if t.stage != nil {
		t.stage.close()
	}
	if err := t.verifySnapshot(ctx, j); err != nil {
		return Result{}, err
	}
	slots := make(map[string]uint32, len(j.records))
	var changes []Change
	var last uint32
	for _, r := range j.records {
		slots[r.path] = r.oldSlot
		last = max(last, r.oldSlot)
		if r.old != nil || r.new != nil {
			changes = append(changes, Change{Path: r.path, Old: r.new, New: r.old, Last: r.last})
		}
	}
	x := &transaction{
		t:    t,
		j:    &journal{rollback: true, id: j.id, seq: j.seq, time: time.Unix(time.Now().Unix(), 0)},
		next: last,
		content: func(it *item) (uint32, error) {
			if slots[it.path] == 0 {
				return 0, &fs.PathError{Op: "find old content of", Path: it.path, Err: fs.ErrNotExist}
			}
			return slots[it.path], nil
		},
	}
	return x.run(ctx, changes, o)
}

// verifySnapshot hashes the replaced files: no byte gets its name back that is
// not what it was.
func (t *Tree) verifySnapshot(ctx context.Context, j *journal) error {
	var mu sync.Mutex
	e := &PreflightError{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i := range j.records {
		r := &j.records[i]
		if r.oldSlot == 0 {
			continue
		}
		g.Go(func() error {
			detail, err := t.verifyBackup(ctx, r, slotName(snapshotOld(j.seq), r.oldSlot))
			if detail != "" {
				mu.Lock()
				e.Obstacles = append(e.Obstacles, Obstacle{Path: r.path, Kind: "snapshot", Detail: detail})
				mu.Unlock()
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if len(e.Obstacles) > 0 {
		sortObstacles(e.Obstacles)
		return e
	}
	return nil
}

// verifyBackup says what is wrong with one replaced file, if anything.
func (t *Tree) verifyBackup(ctx context.Context, r *record, name string) (string, error) {
	fi, err := t.disk.lstat(name)
	switch {
	case err != nil:
		return "", err
	case fi == nil:
		return "the replaced " + r.old.Kind.String() + " is gone", nil
	case nodeKind(fi) != r.old.Kind:
		return fmt.Sprintf("want the replaced %v, got a %v", r.old.Kind, nodeKind(fi)), nil
	case r.old.Kind == Symlink:
		link, err := t.disk.root.Readlink(name)
		if link != r.old.Link && err == nil {
			return fmt.Sprintf("want a symlink to %q, got %q", r.old.Link, link), nil
		}
		return "", err
	case fi.Size() != r.old.Size:
		return fmt.Sprintf("want %d bytes, got %d", r.old.Size, fi.Size()), nil
	}
	sum, err := t.sums.of(ctx, t.disk, name, fi)
	if errors.Is(err, errChanged) {
		return "changed while it was read", nil
	}
	if err == nil && sum != r.old.Digest {
		return fmt.Sprintf("want blake3:%s, got blake3:%s", hex.EncodeToString(r.old.Digest[:]), hex.EncodeToString(sum[:])), nil
	}
	return "", err
}
