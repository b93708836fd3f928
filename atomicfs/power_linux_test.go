package atomicfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/internal/powercuttest"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"golang.org/x/sys/unix"
)

// powered is one change on a disk whose power fails.
type powered struct {
	act
	disk  *powercuttest.Disk
	fsys  powercuttest.FileSystem
	rng   *rand.Rand
	other *os.File // a file of somebody else on the same file system

	steps    int  // made so far; marks begin with the number
	decisive int  // the one that makes the new tree visible
	calm     bool // nobody else syncs
}

const reported = "reported"

// Promises 1 and 2, with power cuts: whatever half of the unflushed writes the
// disk has lost, recovery ends with exactly the old or exactly the new tree,
// and with the new one once the change was reported as made.
func TestPromise1PowerCut(t *testing.T) {
	notRacing(t)
	states := 5
	if thorough() {
		states = 80
	}
	for _, fsys := range powercuttest.FileSystems() {
		if fsys.Name != "ext4" && !thorough() {
			continue
		}
		for _, a := range append(allActs(t, asIs), cutShort(t)...) {
			if a.kind == "repair" {
				continue // differs in its end only
			}
			t.Run(fsys.Name+"/"+a.name, func(t *testing.T) {
				t.Parallel()
				p := newPowered(t, fsys, a)
				must(t, p.record(t, Options{}))
				start, ended := time.Now(), map[string]int{}
				for c := range p.disk.Cuts(p.rng, p.factor()*states) {
					if p.early(c) && p.rng.IntN(4) > 0 {
						continue
					}
					which, fault := p.recoverFrom(t, c)
					if fault != "" {
						t.Errorf("power cut after %q, %d pages lost: %s", c.Mark, c.Lost, fault)
					}
					ended[which]++
				}
				t.Logf("tried: %d power cuts on %s, %s, ended %v, %.0f states/s", addUp(ended), fsys.Name, a.name, ended, float64(addUp(ended))/time.Since(start).Seconds())
			})
		}
	}
}

// Promise 2: what was reported as made survives a power cut right after, with
// nothing else synced in between.
func TestPromise2ReportedSurvives(t *testing.T) {
	notRacing(t)
	tries, filesystems := 2, powercuttest.FileSystems()
	if thorough() {
		tries = 20
	} else {
		filesystems = filesystems[:1]
	}
	for _, fsys := range filesystems {
		for _, a := range allActs(t, asIs) {
			t.Run(fsys.Name+"/"+a.name, func(t *testing.T) {
				t.Parallel()
				p := newPowered(t, fsys, a)
				p.calm = true
				must(t, p.record(t, Options{}))
				lost := 0
				for range tries {
					for c := range p.disk.Cuts(p.rng, 1) {
						if _, fault := p.recoverFrom(t, c); fault != "" || c.Mark != reported {
							t.Errorf("power cut after %q, %d pages lost: %s", c.Mark, c.Lost, fault)
						}
						lost += c.Lost
					}
				}
				t.Logf("tried: %d power cuts after the report on %s, %s, %d pages lost in all", tries, fsys.Name, a.name, lost)
			})
		}
	}
}

// factor and early leave out most of the cuts during the long making of a twin,
// which look all the same.
func (p *powered) factor() int {
	if p.inPlace() {
		return 1
	}
	return 2
}

func (p *powered) early(c powercuttest.Cut) bool {
	if p.inPlace() || c.Mark == reported {
		return false
	}
	step := 0
	_, _ = fmt.Sscan(c.Mark, &step)
	return step < p.decisive-3
}

// cutShort returns recoveries as acts: of an update that was stopped in the
// middle of its redo, and of one that was in the middle of going back.
func cutShort(t *testing.T) []act {
	forward := actsBy(t, InPlace, asIs)[0]
	forward.name = InPlace.String() + " recovery forward"
	update, before := forward.run, forward.before
	setup := forward.setup
	forward.setup = func(tb testing.TB, root string) {
		setup(tb, root)
		stop := false
		_ = update(root, Options{Hook: func(step string) error {
			if stop = stop || strings.HasSuffix(step, "-> newlink"); stop {
				return errStop
			}
			return nil
		}})
	}
	forward.run = justOpen
	back := forward
	back.name, back.after = InPlace.String()+" recovery back", before
	forward.before = forward.after // there is no other way any more
	back.setup = func(tb testing.TB, root string) {
		setup(tb, root)
		failed, stop := false, false
		_ = update(root, Options{Hook: func(step string) error {
			if stop = stop || strings.HasPrefix(step, "rename newlink "); stop {
				return errStop
			}
			if !failed && strings.HasSuffix(step, "-> bin/app") {
				failed = true
				return syscall.EIO
			}
			return nil
		}})
		if !stop {
			tb.Fatal("want the update stopped on its way back")
		}
	}
	return []act{forward, back}
}

func justOpen(root string, o Options) error {
	t, err := Open(root, o)
	if err != nil {
		return err
	}
	return t.Close()
}

func newPowered(t *testing.T, fsys powercuttest.FileSystem, a act) *powered {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return &powered{act: a, disk: powercuttest.New(t, fsys), fsys: fsys, rng: rand.New(rand.NewPCG(seed, 0))}
}

// record makes the change on the disk, and records what is written. Between
// the steps somebody else syncs, so that the file system commits at moments
// that are not of our choice, or time passes.
func (p *powered) record(t *testing.T, o Options) error {
	t.Helper()
	dir, unmount := p.disk.Mount(t)
	root := filepath.Join(dir, "tree")
	must(t, os.Mkdir(root, 0o755))
	p.setup(t, root)
	unmount()

	dir, unmount = p.disk.Mount(t)
	defer unmount()
	var err error
	p.other, err = os.Create(filepath.Join(dir, "other"))
	must(t, err)
	defer p.other.Close()
	must(t, syncFS(p.other))
	p.disk.Record()
	defer p.disk.Stop()
	hook := o.Hook
	err = p.run(filepath.Join(dir, "tree"), Options{Hook: func(step string) error {
		if !p.calm {
			p.disturb()
		}
		p.steps++
		p.disk.Mark(name("%d %s", p.steps, step))
		if strings.HasPrefix(step, "exchange ") || strings.HasPrefix(step, "rename .tree.treegraft ") {
			p.decisive = p.steps
		}
		if hook != nil {
			return hook(step)
		}
		return nil
	}})
	if err == nil {
		p.disk.Mark(reported)
	}
	return err
}

func (p *powered) disturb() {
	switch p.rng.IntN(8) {
	case 0: // ext4 and xfs commit all names, but no data of other files
		_, _ = p.other.WriteAt([]byte{byte(p.rng.IntN(256))}, int64(p.rng.IntN(1<<16)))
		_ = p.other.Sync()
	case 1: // so does btrfs, when asked to
		const startSync = 0x80089418 // BTRFS_IOC_START_SYNC of linux/btrfs.h
		_, _ = unix.IoctlGetInt(int(p.other.Fd()), startSync)
		time.Sleep(time.Duration(p.rng.IntN(5)) * time.Millisecond)
	case 2:
		time.Sleep(time.Duration(5+p.rng.IntN(10)) * time.Millisecond)
	}
}

// recoverFrom mounts the disk as after a restart, recovers, and looks. What is
// wrong is said in fault.
func (p *powered) recoverFrom(t *testing.T, c powercuttest.Cut) (which, fault string) {
	t.Helper()
	dir, unmount := c.Image.Mount(t, p.fsys)
	defer unmount()
	root := filepath.Join(dir, "tree")
	if err := justOpen(root, Options{}); err != nil {
		return "bad", "recover: " + err.Error()
	}
	wantAlone(t, root, "power cut after "+c.Mark)
	got := snap(t, root)
	isOld, isNew := treetest.Diff(p.before, got) == "", treetest.Diff(p.after, got) == ""
	switch {
	case c.Mark == reported && !isNew:
		return "bad", "the change was reported as made, and is lost"
	case isNew && isOld:
		return "as was decided", ""
	case isNew:
		return "new", ""
	case isOld:
		return "old", ""
	}
	return "bad", name("neither the old tree nor the new one: from the old to it\n%s\nfrom the new to it\n%s", treetest.Diff(p.before, got), treetest.Diff(p.after, got))
}

// Promises 2 and 3, with a device that fails: all writes from one moment on, or
// those of a short while, after which syncs succeed again with data lost. Then
// the power goes off.
func TestPromise3DeviceError(t *testing.T) {
	notRacing(t)
	tries := 4
	if thorough() {
		tries = 40
	}
	fsys := powercuttest.FileSystems()[0]
	for _, once := range []bool{true, false} {
		t.Run(name("once=%v", once), func(t *testing.T) {
			t.Parallel()
			ended, failures := map[string]int{}, 0
			for range tries {
				p := newPowered(t, fsys, actsBy(t, InPlace, asIs)[0])
				which, failed := p.deviceError(t, 60+p.rng.IntN(120), once)
				ended[which]++
				failures += failed
			}
			t.Logf("tried: %d device errors on %s (once=%v), %d writes failed, ended %v", tries, fsys.Name, once, failures, ended)
		})
	}
}

// deviceError has the device fail during the first sync from step at on, and
// after it too unless once. It returns which tree recovery ends with.
func (p *powered) deviceError(t *testing.T, at int, once bool) (which string, failures int) {
	t.Helper()
	var failing atomic.Bool
	var failed atomic.Int64
	p.disk.Fail(func() syscall.Errno {
		if failing.Load() {
			failed.Add(1)
			return syscall.EIO
		}
		return 0
	})
	n, armed := 0, true
	err := p.record(t, Options{Hook: func(step string) error {
		n++
		switch {
		case armed && n >= at && strings.HasPrefix(step, "sync"):
			armed = false
			failing.Store(true)
		case once:
			failing.Store(false)
		}
		return nil
	}})
	p.disk.Fail(nil)
	dir, unmount := p.disk.Image().Mount(t, p.fsys)
	defer unmount()
	root := filepath.Join(dir, "tree")
	when := name("EIO from the device from step %d (%d times), reported %v", at, failed.Load(), err)
	reopen(t, root, when)
	return wantAsReopened(t, p.act, root, err, when), int(failed.Load())
}

// control is the protocol without one of its rules.
type control struct {
	rule   string
	by     Strategy
	fails  []string // file systems on which leaving it out spoils the tree
	from   string   // the step from which on it does
	atEnd  bool     // the power goes off after the report only
	skip   func(step string) bool
	hidden string // why it does no harm on the other file systems
}

// Positive controls: without one of its syncs the protocol fails, and the
// power cuts show it. What a file system hides is tried all the same, as
// evidence that it does.
func TestHarnessCatchesPowerCut(t *testing.T) {
	notRacing(t)
	states, filesystems := 80, powercuttest.FileSystems()
	if !thorough() {
		filesystems = filesystems[:1]
	}
	everywhere := []string{"ext4", "xfs", "btrfs"}
	for _, fsys := range filesystems {
		for _, c := range []control{
			{rule: "data sync", by: InPlace, fails: everywhere, from: "rename " + journalNew, skip: func(step string) bool {
				return strings.HasPrefix(step, "sync "+stagedFiles+"/") || strings.HasPrefix(step, "sync all ")
			}},
			{rule: "journal sync", by: InPlace, fails: everywhere, from: "rename " + journalNew,
				skip: func(step string) bool { return step == "sync "+journalNew }},
			{rule: "folder sync", by: InPlace, fails: []string{"btrfs"}, from: "rename " + journalFile + " ", skip: afterRedo(),
				hidden: "its journal keeps all changes of names in order"},
			{rule: "sync of any folder", by: InPlace, fails: everywhere, from: "rename " + journalNew, atEnd: true, skip: foldersFrom("rename " + journalNew)},
			{rule: "twin's sync", by: Exchange, fails: everywhere, from: "exchange ",
				skip: func(step string) bool { return strings.HasPrefix(step, "sync all ") }},
		} {
			t.Run(fsys.Name+"/"+c.rule, func(t *testing.T) {
				t.Parallel()
				c.try(t, fsys, states)
			})
		}
	}
}

func (c control) try(t *testing.T, fsys powercuttest.FileSystem, states int) {
	p := newPowered(t, fsys, actsBy(t, c.by, asIs)[0])
	p.calm = true
	must(t, p.record(t, Options{Hook: func(step string) error {
		if strings.HasPrefix(step, c.from) {
			p.disk.Record() // before it nothing shows
		}
		if c.skip(step) {
			return errSkip
		}
		return nil
	}}))
	fails := slices.Contains(c.fails, fsys.Name)
	if !fails && !thorough() {
		states /= 8
	}
	bad, tried := p.countBad(t, states, c.atEnd)
	switch {
	case fails && bad == 0:
		t.Fatalf("want a bad state among %d, got none", tried)
	case !fails && bad > 0:
		t.Fatalf("want no bad state, since %s; got %d of %d", c.hidden, bad, tried)
	case !fails:
		t.Logf("control: without the %s, none of %d power cuts on %s spoils the tree: %s", c.rule, tried, fsys.Name, c.hidden)
	default:
		t.Logf("control: without the %s, %d of %d power cuts on %s spoil the tree (%d %%)", c.rule, bad, tried, fsys.Name, 100*bad/tried)
	}
}

// countBad tries what the disk may hold. Unless it shall be thorough, one bad
// state is enough.
func (p *powered) countBad(t *testing.T, states int, atEnd bool) (bad, tried int) {
	rounds := 1
	if atEnd {
		rounds, states = states, 1 // the one is at the end
	}
	for range rounds {
		for cut := range p.disk.Cuts(p.rng, states) {
			tried++
			if _, fault := p.recoverFrom(t, cut); fault != "" {
				bad++
			}
			if bad > 0 && !thorough() {
				return bad, tried
			}
		}
	}
	return bad, tried
}

// foldersFrom picks the syncs of all folders, from one step on to the end.
func foldersFrom(first string) func(step string) bool {
	begun := false
	return func(step string) bool {
		begun = begun || strings.HasPrefix(step, first)
		return begun && strings.HasPrefix(step, "sync")
	}
}

// afterRedo picks the syncs of the folders that a change has touched: those
// between the record and the end.
func afterRedo() func(step string) bool {
	recorded := false
	return func(step string) bool {
		switch {
		case strings.HasPrefix(step, "rename "+stagedFiles):
			recorded = true
		case strings.HasPrefix(step, "rename "+journalFile+" "):
			recorded = false
		}
		return recorded && strings.HasPrefix(step, "sync")
	}
}
