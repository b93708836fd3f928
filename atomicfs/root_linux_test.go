package atomicfs

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"golang.org/x/sys/unix"
)

// changers are all the ways to change something below a rootDir, each with the
// names that it may make or remove in the folder d. Some fail, which is fine.
var changers = map[string]func(r *rootDir) error{
	"create": func(r *rootDir) error {
		f, err := r.OpenFile("d/created", os.O_RDWR|os.O_CREATE, 0o600)
		if err == nil {
			f.Close()
		}
		return err
	},
	"write":      func(r *rootDir) error { f, err := r.OpenFile("d/f", os.O_WRONLY, 0); return closing(f, err) },
	"mkdir":      func(r *rootDir) error { return r.Mkdir("d/made", 0o700) },
	"symlink":    func(r *rootDir) error { return r.Symlink("x", "d/symlink") },
	"link":       func(r *rootDir) error { return r.Link("keep", "d/link") },
	"rename in":  func(r *rootDir) error { return r.Rename("moved", "d/moved") },
	"rename out": func(r *rootDir) error { return r.Rename("d/f", "moved") },
	"chmod":      func(r *rootDir) error { return r.Chmod("d/f", 0o711) },
	"chown":      func(r *rootDir) error { return r.Lchown("d/f", os.Geteuid(), os.Getegid()) },
	"remove":     func(r *rootDir) error { return r.Remove("d/f") },
	"remove all": func(r *rootDir) error { return r.RemoveAll("d/sub") },
	"open root":  func(r *rootDir) error { sub, err := r.OpenRoot("d"); return closing(sub, err) },
}

func closing(c interface{ Close() error }, err error) error {
	if err != nil {
		return err
	}
	return c.Close()
}

// bothWays runs a test with openat2 and without it.
func bothWays(t *testing.T, test func(t *testing.T, open func(name string) *rootDir)) {
	for _, walk := range []bool{false, true} {
		t.Run(name("walk=%v", walk), func(t *testing.T) {
			test(t, func(name string) *rootDir {
				r, err := openRoot(name)
				must(t, err)
				if r.walk && !walk {
					t.Skip("no openat2 here")
				}
				r.walk = walk
				t.Cleanup(func() { r.Close() })
				return r
			})
		})
	}
}

// Promise 5: nothing is changed through a symlink, wherever it leads, nor
// across a mount point, and nothing is looked at through a symlink.
func TestPromise5Containment(t *testing.T) {
	bothWays(t, func(t *testing.T, open func(string) *rootDir) {
		top := scratch(t)
		root, outside := filepath.Join(top, "root"), filepath.Join(top, "outside")
		content := treetest.Parse(t, "-- f --\nf\n-- sub/f --\nf\n")
		for p, target := range map[string]string{"absolute": outside, "relative": "../outside", "inner": "inside", "mount": ""} {
			dispose(root)
			plant(t, outside, content)
			plant(t, filepath.Join(root, "inside"), content)
			plant(t, root, treetest.Parse(t, "-- keep --\n-- moved --\n"))
			d := filepath.Join(root, "d")
			if p == "mount" {
				if os.Geteuid() != 0 {
					continue
				}
				must(t, os.Mkdir(d, 0o755))
				bind(t, outside, d, 0)
			} else {
				must(t, os.Symlink(target, d))
			}
			r := open(root)
			for op, change := range changers {
				err := change(r)
				if p == "mount" && !errors.Is(err, errMount) || p != "mount" && !errors.Is(err, syscall.ELOOP) {
					t.Errorf("%s through %s: want it refused, got %v", op, p, err)
				}
			}
			if _, err := r.Lstat("d/f"); (err == nil) != (p == "mount") {
				t.Errorf("lstat through %s: got %v", p, err)
			}
			if fi, err := r.Lstat("d"); err != nil || fi.Name() != "d" {
				t.Errorf("lstat of %s itself: got %v, %v", p, fi, err)
			}
			if p == "mount" {
				must(t, unix.Unmount(d, 0))
			}
			wantTree(t, outside, content, "outside, "+p)
			wantTree(t, filepath.Join(root, "inside"), content, "inside, "+p)
		}
	})
}

// Promise 5, raced: a folder and a symlink, to a folder outside or to another
// one inside, change places as fast as they can while every kind of change is
// made below them. To look first and change then is not enough, as the control
// shows.
func TestPromise5ContainmentRace(t *testing.T) {
	rounds := 400
	if thorough() {
		rounds = 4000
	}
	bothWays(t, func(t *testing.T, open func(string) *rootDir) {
		for _, target := range []string{"../outside", "inside"} {
			done, refused, escaped := raceContainment(t, target, rounds, func(root string) func(op string) error {
				r := open(root)
				return func(op string) error { return changers[op](r) }
			})
			t.Logf("tried: %d changes against a raced symlink to %s, %d made, %d refused, %d escaped", rounds*len(changers), target, done, refused, escaped)
			if escaped > 0 || done == 0 || refused == 0 {
				t.Error("want changes made, changes refused, and no escape")
			}
		}
	})
	t.Run("control", func(t *testing.T) {
		_, _, escaped := raceContainment(t, "../outside", 100_000, func(root string) func(string) error {
			d := filepath.Join(root, "d")
			return func(string) error {
				if fi, err := os.Lstat(d); err != nil || !fi.IsDir() {
					return syscall.ELOOP
				}
				f, err := os.Create(filepath.Join(d, "created"))
				return closing(f, err)
			}
		})
		if escaped == 0 {
			t.Error("check, then open: want an escape, got none: the race was not run")
		}
	})
}

// raceContainment makes every kind of change up to rounds times, or until one
// escapes to where the symlink leads.
func raceContainment(t *testing.T, target string, rounds int, begin func(root string) func(op string) error) (done, refused, escaped int) {
	t.Helper()
	top := scratch(t)
	root, outside := filepath.Join(top, "root"), filepath.Join(top, "outside")
	trapped := treetest.Parse(t, "-- f --\nf\n-- sub/f --\nf\n")
	plant(t, outside, trapped)
	plant(t, filepath.Join(root, "inside"), trapped)
	must(t, os.Symlink(target, filepath.Join(root, "trap")))
	plant(t, root, treetest.Parse(t, "-- keep --\n-- d/f --\nf\n"))
	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(root, "d"), unix.AT_FDCWD, filepath.Join(root, "trap"), unix.RENAME_EXCHANGE)
			}
		}
	})
	change := begin(root)
	for i := 0; i < rounds && escaped == 0; i++ {
		for op := range changers {
			_ = os.WriteFile(filepath.Join(root, "moved"), nil, 0o600)
			switch err := change(op); {
			case err == nil:
				done++
			case errors.Is(err, syscall.ELOOP):
				refused++
			}
		}
		if i%50 == 49 || i == rounds-1 {
			for _, dir := range []string{outside, filepath.Join(root, "inside")} {
				if treetest.Diff(trapped, snap(t, dir)) != "" {
					escaped++
				}
			}
		}
	}
	close(stop)
	swapper.Wait()
	return done, refused, escaped
}
