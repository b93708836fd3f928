package atomicfs

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Recovery says what [Open] had to do.
type Recovery struct {
	ID       string            // of the change that was cut short after its commit; "" if none
	Rollback bool              // that change was a rollback
	Forward  bool              // it was finished
	Back     bool              // it was taken back
	Swept    []string          // leftovers removed, as names in the state folder
	Kept     map[string]string // moved beside, because it appeared where the change had work to do
}

// recover brings the tree to one end of a change that was cut short, and
// sweeps what is left of others.
func (t *Tree) recover() error {
	undoing, err := t.load(journalUndo)
	if err != nil {
		return t.breakOff(err)
	}
	j, err := t.load(journalFile)
	if err != nil {
		return t.breakOff(err)
	}
	if j, err = t.oneName(j, undoing); err != nil {
		return t.breakOff(err)
	}
	switch {
	case undoing != nil:
		x := newRunner(t.disk, undoing)
		if err := t.undo(undoing, x); err != nil {
			return t.breakOff(err)
		}
		t.recovered = Recovery{ID: undoing.id, Rollback: undoing.rollback, Back: true, Kept: x.kept}
	case j != nil:
		x, err := t.forward(j)
		if t.broken != nil {
			return err
		}
		t.recovered = Recovery{ID: j.id, Rollback: j.rollback, Forward: err == nil, Back: err != nil, Kept: x.kept}
	}
	if err := t.sweep(); err != nil {
		return err
	}
	return t.sweepTwin()
}

// settled reports whether the tree is at one end of every change, so that it can
// be looked at as it is.
func (t *Tree) settled() error {
	for _, name := range []string{journalFile, journalUndo} {
		there, err := t.disk.exists(name)
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("%w, and a change was cut short or is under way: %w", ErrReadOnly, ErrNeedsRecovery)
		}
	}
	return nil
}

// oneName returns j, the journal that goes forward. If its last rename was half
// on the disk, so that it also has the name that ends it or turns it round, it
// goes, and nil is returned.
func (t *Tree) oneName(j, undoing *journal) (*journal, error) {
	if j == nil {
		return nil, nil
	}
	next := snapshotJournal(j.seq)
	if undoing != nil {
		next = journalUndo
	}
	a, err := t.disk.lstat(journalFile)
	if err != nil {
		return nil, err
	}
	b, err := t.disk.lstat(next)
	switch {
	case err != nil:
		return nil, err
	case sameFile(a, b):
		return nil, errors.Join(t.disk.remove(journalFile), t.disk.syncDir(StateDir))
	case undoing != nil:
		return nil, errors.New("two journals")
	}
	return j, nil
}

// load reads a journal, nil if there is none.
func (t *Tree) load(name string) (*journal, error) {
	fi, err := t.disk.lstat(name)
	if fi == nil || err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("read journal %s: %w: want a file, got %v", name, ErrDamagedJournal, fi.Mode().Type())
	}
	f, err := t.disk.open(name, fi)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	j, err := readJournal(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return j, nil
}

// sweep removes what a change left that never was recorded, or has ended.
func (t *Tree) sweep() error {
	var litter []string
	for _, name := range []string{journalNew, stagingDir} {
		there, err := t.disk.exists(name)
		if err != nil {
			return err
		}
		if there {
			litter = append(litter, name)
		}
	}
	seqs, err := t.snapshotSeqs()
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		t.seq = max(t.seq, seq)
		valid, err := t.isSnapshot(seq)
		if err != nil {
			return err
		}
		if !valid {
			litter = append(litter, snapshotDir(seq))
		}
	}
	if len(litter) == 0 {
		return nil
	}
	// That there is no journal must be durable before what it names goes.
	if err := t.disk.syncDir(StateDir); err != nil {
		return err
	}
	for _, name := range litter {
		if err := t.disk.removeAll(name); err != nil {
			return err
		}
		t.recovered.Swept = append(t.recovered.Swept, strings.TrimPrefix(name, StateDir+"/"))
	}
	return nil
}

// snapshotSeqs lists the numbers of snapshots, rising, whether valid or not.
func (t *Tree) snapshotSeqs() ([]uint64, error) {
	there, err := t.disk.exists(snapshotsDir)
	if !there || err != nil {
		return nil, err
	}
	entries, err := t.disk.readDir(snapshotsDir)
	if err != nil {
		return nil, err
	}
	var seqs []uint64
	for _, e := range entries {
		if seq, ok := parseSeq(e.Name()); ok {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	return seqs, nil
}

// isSnapshot reports whether a snapshot was completed and not yet used: its
// journal is there, and is neither that of the rollback which used it nor that
// of a commit that leaves none. It looks no
// deeper, since Open calls it for every snapshot.
func (t *Tree) isSnapshot(seq uint64) (bool, error) {
	fi, err := t.disk.lstat(snapshotJournal(seq))
	if fi == nil || err != nil {
		return false, err
	}
	f, err := t.disk.open(snapshotJournal(seq), fi)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var head [journalHeader + 1]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return true, nil // damaged: that is for Rollback to report
	}
	kind := head[journalHeader]
	return kind != kindRollback && kind != kindFinal, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
