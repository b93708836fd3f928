package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/store/storetest"
)

func openDir(t testing.TB, path string) *store.Dir {
	t.Helper()
	d, err := store.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDir(t *testing.T) {
	storetest.TestStore(t, func(t *testing.T) store.Store { return openDir(t, t.TempDir()) })
}

func TestOpenDir(t *testing.T) {
	root := t.TempDir()
	if _, err := store.OpenDir(filepath.Join(root, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: want fs.ErrNotExist, got %v", err)
	}
	file := filepath.Join(root, "file")
	writeFile(t, file, "1")
	if _, err := store.OpenDir(file); err == nil {
		t.Error("a file: want an error")
	}
}

// TestDirStaysInside plants symlinks and other odd files in the folder.
func TestDirStaysInside(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this test makes symlinks and pipes")
	}
	outside, root := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(outside, "secret"), "secret")
	writeFile(t, filepath.Join(root, "inside"), "inside")
	for name, to := range map[string]string{
		"file-link": filepath.Join(outside, "secret"), "folder-link": outside,
		"up-link": "../" + filepath.Base(outside), "inside-link": "inside", "broken-link": "nothing",
	} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := exec.Command("mkfifo", filepath.Join(root, "pipe")).Run(); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, root)
	for _, name := range []string{"file-link", "folder-link/secret", "up-link/secret"} {
		if b, err := store.ReadAll(t.Context(), d, name, 100); err == nil {
			t.Errorf("read through %s: got %q", name, b)
		}
	}
	for _, name := range []string{"folder-link/new", "up-link/new"} {
		if err := d.Push(t.Context(), name, strings.NewReader("1"), 1); err == nil {
			t.Errorf("push to %s: want an error", name)
		}
	}
	if err := d.Delete(t.Context(), "folder-link/secret"); err == nil {
		t.Error("delete through a link: want an error")
	}
	for _, name := range []string{"pipe", "broken-link"} {
		if _, err := store.ReadAll(t.Context(), d, name, 100); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("read %s: want fs.ErrNotExist, got %v", name, err)
		}
	}
	if b, err := store.ReadAll(t.Context(), d, "inside-link", 100); string(b) != "inside" {
		t.Errorf("link inside: got %q, error %v", b, err)
	}
	if err := d.Push(t.Context(), "file-link", strings.NewReader("new"), 3); err != nil {
		t.Errorf("push in place of a link: %v", err)
	}
	if got := readFile(t, filepath.Join(outside, "secret")); got != "secret" {
		t.Errorf("the file outside became %q", got)
	}
	if got := list(t, d); !slices.Equal(got, []string{"file-link", "inside"}) {
		t.Errorf("list: want the two regular files, got %q", got)
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 1 {
		t.Errorf("want one file outside, got %v", entries)
	}
}

func list(t *testing.T, s store.Store) (names []string) {
	t.Helper()
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.Name)
	}
	return names
}

// TestDirLeavesNoTemporaryFiles looks at the folder itself after failures.
func TestDirLeavesNoTemporaryFiles(t *testing.T) {
	root := t.TempDir()
	d := openDir(t, root)
	if err := d.Push(t.Context(), "f", strings.NewReader("1"), 1); err != nil {
		t.Fatal(err)
	}
	d.Push(t.Context(), "f", strings.NewReader("1"), 2)
	d.PushNew(t.Context(), "f", strings.NewReader("1"), 1)
	d.PushNew(t.Context(), "g", strings.NewReader("1"), 2)
	d.PushNew(t.Context(), "h", strings.NewReader("1"), 1)
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 2 {
		t.Errorf("want f and h, got %v, error %v", entries, err)
	}
}

// TestDirLeavesNoEmptyFolders deletes files one by one: each folder goes with
// its last one, and what is no file of the store's holds it.
func TestDirLeavesNoEmptyFolders(t *testing.T) {
	root := folder(t, map[string][]byte{"a/b/1": []byte("1"), "a/b/2": []byte("2"), "a/3": []byte("3"), "c/.kept": nil, "c/4": []byte("4")})
	d := openDir(t, root)
	for _, step := range []struct {
		name   string
		stays  []string
		leaves []string
	}{
		{"a/b/1", []string{"a/b"}, nil},
		{"a/b/missing", []string{"a/b"}, nil},
		{"a/b/2", []string{"a"}, []string{"a/b"}},
		{"a/b/2", []string{"a"}, nil},
		{"a/3", []string{"."}, []string{"a"}},
		{"c/4", []string{"c"}, nil},
	} {
		if err := d.Delete(t.Context(), step.name); err != nil {
			t.Fatal(err)
		}
		for _, name := range step.stays {
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Errorf("after %s: %v", step.name, err)
			}
		}
		for _, name := range step.leaves {
			if _, err := os.Stat(filepath.Join(root, name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after %s: %s is left, error %v", step.name, name, err)
			}
		}
	}
}

// TestDirTidies removes empty folders below one, and nothing else.
func TestDirTidies(t *testing.T) {
	root := folder(t, map[string][]byte{"a/b/1": []byte("1"), "a/c/.kept": nil, "z/1": []byte("1")})
	for _, name := range []string{"a/b/empty/er", "a/d", "other/empty", "only/this"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.FromSlash(name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../other", filepath.Join(root, "a/link")); err != nil {
		t.Log(err) // Windows asks for a privilege
	}
	d := openDir(t, root)
	for _, name := range []string{"a", "only", "missing"} {
		if err := d.Tidy(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string]bool{
		"a/b/1": true, "a/c/.kept": true, "z/1": true, "other/empty": true,
		"a/b/empty": false, "a/d": false, "only": false,
	} {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); (err == nil) != want {
			t.Errorf("%s: want kept %v, got %v", name, want, err)
		}
	}
	if err := d.Tidy(t.Context(), "../x"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("outside: got %v", err)
	}
}

// TestDirFoldersComeAndGo has pushes and deletes meet in the same folders: by
// one process, and by another that knows nothing of the first.
func TestDirFoldersComeAndGo(t *testing.T) {
	root := t.TempDir()
	d, other := openDir(t, root), openDir(t, root)
	g, ctx := errgroup.WithContext(t.Context())
	for i, s := range []*store.Dir{d, d, other, other} {
		g.Go(func() error {
			for n := range 500 {
				name := fmt.Sprintf("a/b/%d", i)
				push := s.Push
				if n%2 == 0 {
					push = s.PushNew
				}
				if err := push(ctx, name, strings.NewReader("1"), 1); err != nil {
					return err
				}
				if b, err := store.ReadAll(ctx, s, name, 10); string(b) != "1" {
					return fmt.Errorf("pushed and gone: %q, error %w", b, err)
				}
				if err := s.Delete(ctx, name); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("want nothing left, got %v, error %v", left, err)
	}
}

// TestDirPushNewLooksFirst must not copy bytes for nothing.
func TestDirPushNewLooksFirst(t *testing.T) {
	d := openDir(t, folder(t, map[string][]byte{"file": []byte("1")}))
	read := errors.New("read for nothing")
	if err := d.PushNew(t.Context(), "file", iotest.ErrReader(read), 1); !errors.Is(err, fs.ErrExist) || errors.Is(err, read) {
		t.Errorf("want fs.ErrExist, got %v", err)
	}
}

// TestDirModes compares with a file that the umask has had its say on: a web
// server of another user must be able to read what was pushed.
func TestDirModes(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "model"), "1")
	want, err := os.Stat(filepath.Join(root, "model"))
	if err != nil {
		t.Fatal(err)
	}
	d := openDir(t, root)
	if err := d.Push(t.Context(), "pushed", strings.NewReader("1"), 1); err != nil {
		t.Fatal(err)
	}
	got, err := os.Stat(filepath.Join(root, "pushed"))
	if err != nil || got.Mode() != want.Mode() {
		t.Errorf("want mode %v, got %v, error %v", want.Mode(), got.Mode(), err)
	}
}

// TestLockSweeps looks for what a killed publisher left.
func TestLockSweeps(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	old, young, other := filepath.Join(root, "folder/.tmp-old"), filepath.Join(root, "folder/.tmp-young"), filepath.Join(root, "folder/tmp-other")
	for _, path := range []string{old, young, other} {
		writeFile(t, path, "1")
	}
	long := time.Now().Add(-48 * time.Hour)
	for _, path := range []string{old, other} {
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := openDir(t, root).Lock(t.Context(), "us")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	for path, want := range map[string]bool{old: false, young: true, other: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: want kept %v, got %v", path, want, err)
		}
	}
}

// TestLockEndsWithProcess kills a process that holds the lock.
func TestLockEndsWithProcess(t *testing.T) {
	if root := os.Getenv("STORE_TEST_LOCK"); root != "" {
		if _, err := openDir(t, root).Lock(t.Context(), fmt.Sprintf("process %d", os.Getpid())); err != nil {
			t.Fatal(err)
		}
		fmt.Println("locked")
		select {} // until killed
	}
	root := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockEndsWithProcess$")
	cmd.Env = append(os.Environ(), "STORE_TEST_LOCK="+root)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("locked"))
	if _, err := out.Read(line); err != nil || string(line) != "locked" {
		t.Fatalf("want locked, got %q, error %v", line, err)
	}
	var locked *store.LockedError
	_, err = openDir(t, root).Lock(t.Context(), "us")
	if !errors.As(err, &locked) || locked.Holder != fmt.Sprintf("process %d", cmd.Process.Pid) {
		t.Errorf("want a lock held by process %d, got %v", cmd.Process.Pid, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	unlock, err := openDir(t, root).Lock(t.Context(), "us")
	if err != nil {
		t.Fatalf("lock of a killed process: %v", err)
	}
	unlock()
}

// TestDirDiskFull fills a small file system: the error must be the system's, and
// the old content must stay.
func TestDirDiskFull(t *testing.T) {
	root := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", root).CombinedOutput(); err != nil {
		t.Skipf("this test mounts a file system: %v: %s", err, out)
	}
	defer exec.Command("umount", root).Run()
	d := openDir(t, root)
	if err := d.Push(t.Context(), "file", strings.NewReader("old"), 3); err != nil {
		t.Fatal(err)
	}
	if err := d.Push(t.Context(), "file", bytes.NewReader(make([]byte, 1<<20)), 1<<20); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("want ENOSPC, got %v", err)
	}
	if b, err := store.ReadAll(t.Context(), d, "file", 100); string(b) != "old" {
		t.Errorf("want the old content, got %q, error %v", b, err)
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 1 {
		t.Errorf("want one file, got %v, error %v", entries, err)
	}
}

func BenchmarkDirPush(b *testing.B) {
	content := make([]byte, 10<<10)
	for _, workers := range []int{1, 16} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			d := openDir(b, b.TempDir())
			b.SetParallelism(workers)
			b.SetBytes(int64(len(content)))
			var n counter
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.next()
					name := fmt.Sprintf("objects/%02x/%d", i%256, i)
					if err := d.PushNew(b.Context(), name, bytes.NewReader(content), int64(len(content))); err != nil {
						b.Error(err)
					}
				}
			})
			if err := d.Push(b.Context(), "timestamp", strings.NewReader("1"), 1); err != nil { // and all is durable
				b.Error(err)
			}
		})
	}
}
