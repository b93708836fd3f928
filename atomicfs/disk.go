package atomicfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// disk is the one seam to the file system: every system call that changes
// something is a method of it and passes the hook first. Paths are relative
// to the root and slash-separated; rootDir keeps them inside.
type disk struct {
	root *rootDir
	hook func(step string) error
	held map[string]*rootDir // folders kept open, see hold

	noSync bool // everything will be synced at once, later
}

// hold keeps folders of the state folder open, so that work on what is in them
// need not walk there: in the window in which the tree is neither old nor new,
// that is a third of it. Release them before they are removed.
func (d *disk) hold(dirs ...string) (release func()) {
	d.held = map[string]*rootDir{}
	for _, dir := range dirs {
		if r, err := d.root.OpenRoot(dir); err == nil { // else the long way tells why
			d.held[dir] = r
		}
	}
	return func() {
		for _, r := range d.held {
			r.Close()
		}
		d.held = nil
	}
}

// at returns where to find name: a root, and its name in it.
func (d *disk) at(name string) (*rootDir, string) {
	if held := d.held[folderOf(name)]; held != nil {
		return held, path.Base(name)
	}
	return d.root, name
}

// errSkip, returned by a test's hook, leaves a call out and reports success:
// tests of the tests break a rule of the protocol with it.
var errSkip = errors.New("skip this step")

// step asks the hook. Where go is false, the call is left out and err is its
// result.
func (d *disk) step(op, name string) (run bool, err error) {
	if d.hook == nil {
		return true, nil
	}
	switch err := d.hook(op + " " + name); {
	case err == nil:
		return true, nil
	case errors.Is(err, errSkip):
		return false, nil
	default:
		return false, &fs.PathError{Op: op, Path: name, Err: err}
	}
}

func (d *disk) rename(from, to string) error {
	if run, err := d.step("rename", from+" -> "+to); !run {
		return err
	}
	return d.root.Rename(from, to)
}

// exchange lets two entries change places, in one step.
func (d *disk) exchange(a, b string) error {
	if run, err := d.step("exchange", a+" <-> "+b); !run {
		return err
	}
	return exchange(d.root, a, b)
}

func (d *disk) link(from, to string) error {
	if run, err := d.step("link", from+" -> "+to); !run {
		return err
	}
	return d.root.Link(from, to)
}

func (d *disk) symlink(target, name string) error {
	if run, err := d.step("symlink", name); !run {
		return err
	}
	return d.root.Symlink(target, name)
}

func (d *disk) remove(name string) error {
	if run, err := d.step("remove", name); !run {
		return err
	}
	return d.root.Remove(name)
}

func (d *disk) removeAll(name string) error {
	if run, err := d.step("remove all", name); !run {
		return err
	}
	return d.root.RemoveAll(name)
}

// mkdir makes a folder with exactly the given mode.
func (d *disk) mkdir(name string, mode fs.FileMode) error {
	if run, err := d.step("mkdir", name); !run {
		return err
	}
	if err := d.root.Mkdir(name, mode); err != nil {
		return err
	}
	// The umask took bits away.
	return d.chmod(name, mode)
}

// mkdirLike is mkdir for a folder of the tree itself: made by root, it belongs
// to whom the folder above belongs.
func (d *disk) mkdirLike(name string, mode fs.FileMode) error {
	if err := d.mkdir(name, mode); err != nil {
		return err
	}
	up, err := d.lstat(folderOf(name))
	if err != nil || up == nil {
		return err
	}
	return d.chown(name, up)
}

// chown gives name the owner of like. Only root can, and only root needs to.
func (d *disk) chown(name string, like fs.FileInfo) error {
	if os.Geteuid() != 0 {
		return nil
	}
	fi, err := d.lstat(name)
	if fi == nil || err != nil {
		return err
	}
	uid, gid := owner(like)
	if u, g := owner(fi); u == uid && g == gid {
		return nil
	}
	if run, err := d.step("chown", name); !run {
		return err
	}
	return d.root.Lchown(name, uid, gid)
}

// ensureDir makes the folder name unless it is there already.
func (d *disk) ensureDir(name string, mode fs.FileMode) error {
	switch fi, err := d.lstat(name); {
	case err != nil:
		return err
	case fi == nil:
		return d.mkdir(name, mode)
	case !fi.IsDir():
		return fmt.Errorf("open folder %s: want a folder, got %v", name, fi.Mode().Type())
	}
	return nil
}

func (d *disk) chmod(name string, mode fs.FileMode) error {
	if run, err := d.step("chmod", name); !run {
		return err
	}
	root, base := d.at(name)
	return root.Chmod(base, mode)
}

// create opens a new file for writing, readable by its owner alone. What is
// in the way is removed: create is for names in the state folder.
func (d *disk) create(name string) (*os.File, error) {
	if _, err := d.step("create", name); err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if err := d.remove(name); err != nil {
			return nil, err
		}
		return d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	return f, err
}

// touch makes an empty file of the state folder, unless it is there.
func (d *disk) touch(op, name string) error {
	if run, err := d.step(op, name); !run {
		return err
	}
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// openMade opens a file of the state folder for reading.
func (d *disk) openMade(name string) (*os.File, error) {
	root, base := d.at(name)
	return root.Open(base)
}

// openStaged opens a file of the state folder for reading and writing.
func (d *disk) openStaged(name string) (*os.File, error) {
	root, base := d.at(name)
	return root.OpenFile(base, os.O_RDWR, 0)
}

// write is f.Write behind the hook.
func (d *disk) write(f *os.File, name string, p []byte) (int, error) {
	if run, err := d.step("write", name); !run {
		return len(p), err
	}
	return f.Write(p)
}

// syncFile makes the content and mode of f durable.
func (d *disk) syncFile(f *os.File, name string) error {
	if d.noSync {
		return nil
	}
	if run, err := d.step("sync", name); !run {
		return err
	}
	return f.Sync()
}

// syncDir makes the names in a folder durable. Where that cannot be asked for
// (Windows), the system sees to it.
func (d *disk) syncDir(name string) error {
	if d.noSync || !dirsSync {
		return nil
	}
	if run, err := d.step("sync", name); !run {
		return err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// syncAll makes everything durable that was written to the file system of f.
func (d *disk) syncAll(f *os.File) error {
	if d.noSync {
		return nil
	}
	if run, err := d.step("sync all", StateDir); !run {
		return err
	}
	return syncFS(f)
}

// lstat returns nil, nil for what does not exist.
func (d *disk) lstat(name string) (fs.FileInfo, error) {
	root, base := d.at(name)
	fi, err := root.Lstat(base)
	if notThere(err) {
		return nil, nil
	}
	return fi, err
}

func (d *disk) exists(name string) (bool, error) {
	fi, err := d.lstat(name)
	return fi != nil, err
}

// notThere reports whether err says that a name or a folder above it does not
// exist.
func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// open opens the regular file that was seen as fi, for reading. It neither
// follows a symlink that took its place since nor waits for a pipe's writer.
func (d *disk) open(name string, fi fs.FileInfo) (*os.File, error) {
	f, err := d.root.OpenFile(name, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, err
	}
	now, err := f.Stat()
	if err == nil && !os.SameFile(fi, now) {
		err = &fs.PathError{Op: "open", Path: name, Err: errChanged}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

var (
	errChanged = errors.New("changed meanwhile")
	// errMount says so in words: the system's EXDEV means other things elsewhere.
	errMount = errors.New("a folder above it is a mount point")
)

// readDir lists a folder, sorted by name.
func (d *disk) readDir(name string) ([]fs.DirEntry, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// writeFile writes data to a new file in the state folder and makes it
// durable; its name is not yet.
func (d *disk) writeFile(name string, data []byte) error {
	f, err := d.create(name)
	if err != nil {
		return err
	}
	_, err = d.write(f, name, data)
	if err == nil {
		err = d.syncFile(f, name)
	}
	return errors.Join(err, f.Close())
}

// copyFile copies the file name, seen as fi, to a new file in the state
// folder, and returns the digest and size of what it copied.
func (d *disk) copyFile(name string, fi fs.FileInfo, to string) (sum [32]byte, n int64, err error) {
	from, err := d.open(name, fi)
	if err != nil {
		return sum, 0, err
	}
	defer from.Close()
	f, err := d.create(to)
	if err != nil {
		return sum, 0, err
	}
	h := newHash()
	n, err = io.Copy(writerFunc(func(p []byte) (int, error) {
		h.Write(p)
		return d.write(f, to, p)
	}), io.LimitReader(from, fi.Size()+1))
	if err == nil && n != fi.Size() {
		err = &fs.PathError{Op: "copy", Path: name, Err: errChanged}
	}
	if err == nil {
		err = d.syncFile(f, to)
	}
	h.Sum(sum[:0])
	return sum, n, errors.Join(err, f.Close())
}

type writerFunc func(p []byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

// realDirs checks that folders are folders all the way from the root, with no
// symlink among them, and remembers those that are.
type realDirs struct {
	d    *disk
	real map[string]bool
}

func (r *realDirs) forget() { clear(r.real) }

// firstOther returns the topmost ancestor of p that is not a folder, and what
// it is: nil for nothing. It returns "" if all of them are folders.
func (r *realDirs) firstOther(p string) (string, fs.FileInfo, error) {
	dir := folderOf(p)
	if dir == "." || r.real[dir] {
		return "", nil, nil
	}
	if other, fi, err := r.firstOther(dir); other != "" || err != nil {
		return other, fi, err
	}
	fi, err := r.d.lstat(dir)
	if err != nil || fi == nil || !fi.IsDir() {
		return dir, fi, err
	}
	if r.real == nil {
		r.real = map[string]bool{}
	}
	r.real[dir] = true
	return "", nil, nil
}

// lstat returns what is at p, nil if nothing is or something above it is no
// folder: a symlink above p leads to what is not at p.
func (r *realDirs) lstat(p string) (fs.FileInfo, error) {
	if other, _, err := r.firstOther(p); other != "" || err != nil {
		return nil, err
	}
	return r.d.lstat(p)
}
