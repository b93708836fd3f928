package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// A Dir is a Store in a folder: what a static file server publishes, a mirror
// on a disk, or an offline bundle.
//
// Its files stay inside the folder: a symlink that leads out of it is an
// error. Files that are not regular do not exist for it. It needs no closing.
type Dir struct {
	path     string
	synced   sync.Map     // folders whose own entry is durable, by name
	folders  sync.RWMutex // held while a folder gets its first file, or goes
	renaming sync.Mutex
	later    laterSync
}

var _ Store = (*Dir)(nil)

// OpenDir returns the store in a folder, which must exist.
func OpenDir(path string) (*Dir, error) {
	if path == "" { // rather an unset option than the current folder
		return nil, errors.New("open store: want a folder, got an empty path")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("open store %s: want a folder, got %v", path, info.Mode().Type())
	}
	return &Dir{path: path}, nil
}

// root opens the folder for one operation on a name, after checking both
// the name and the context.
func (d *Dir) root(ctx context.Context, verb, name string) (*os.Root, error) {
	if err := CheckName(name); err != nil {
		return nil, fmt.Errorf("%s: %w", verb, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s %s: %w", verb, name, err)
	}
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", verb, name, err)
	}
	return root, nil
}

// Fetch reads a file, or a part of it.
func (d *Dir) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := CheckRange(name, offset, length); err != nil {
		return nil, err
	}
	root, err := d.root(ctx, "fetch", name)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, size, err := openRegular(root, name)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	if length < 0 {
		length = size - offset
	}
	if size < offset || size-offset < length {
		f.Close()
		return nil, errShort(name, offset+max(length, 0), size)
	}
	return &dirReader{ctx: ctx, name: name, f: f, pos: offset, end: offset + length}, nil
}

// openRegular opens a regular file and returns its size. It looks before it
// opens, because to open a pipe would wait for its other end.
func openRegular(root *os.Root, name string) (*os.File, int64, error) {
	info, err := root.Stat(name)
	if err != nil {
		if errors.Is(err, syscall.ENOTDIR) { // a component of the name is a file
			err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%w: want a regular file, got %v", fs.ErrNotExist, info.Mode().Type())
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err = f.Stat() // of what was opened: its size may be another
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// A dirReader reads the bytes from pos to end, until its context ends.
type dirReader struct {
	ctx      context.Context
	name     string
	f        *os.File
	pos, end int64
}

func (r *dirReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("fetch %s: %w", r.name, err)
	}
	if r.pos >= r.end {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.end-r.pos)]
	n, err := r.f.ReadAt(p, r.pos)
	r.pos += int64(n)
	switch {
	case n > 0 || len(p) == 0:
		return n, nil
	case err == io.EOF: // somebody has cut the file
		return 0, errShort(r.name, r.end, r.pos)
	}
	return 0, fmt.Errorf("fetch %s: %w", r.name, err)
}

func (r *dirReader) Close() error { return r.f.Close() }

// Push stores a file in place of what was there. When it returns without an
// error, the file survives a power cut, and so do all that were pushed before.
func (d *Dir) Push(ctx context.Context, name string, r io.Reader, size int64) error {
	root, err := d.root(ctx, "push", name)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := d.later.flush(root); err != nil {
		return fmt.Errorf("push %s: %w", name, err)
	}
	return d.push(ctx, root, name, r, size, false, (*os.Root).Rename)
}

// PushNew stores a file under a free name. On Linux one sync for all of them,
// in the next Push, takes the place of two for each: a release has thousands.
func (d *Dir) PushNew(ctx context.Context, name string, r io.Reader, size int64) error {
	root, err := d.root(ctx, "push", name)
	if err != nil {
		return err
	}
	defer root.Close()
	if _, err := root.Lstat(name); err == nil { // before the bytes are copied
		return fmt.Errorf("push %s: %w", name, fs.ErrExist)
	}
	return d.push(ctx, root, name, r, size, true, d.linkNew)
}

// linkNew gives a file a free name: unlike a rename, a link never replaces
// another file.
func (d *Dir) linkNew(folder *os.Root, temp, name string) error {
	err := folder.Link(temp, name)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) {
		return d.renameNew(folder, temp, name)
	}
	if err != nil {
		return err
	}
	return folder.Remove(temp)
}

// renameNew gives a file a free name on file systems without hard links, such
// as FAT. It excludes the goroutines of this process, but no other process:
// there, the lock must.
func (d *Dir) renameNew(folder *os.Root, temp, name string) error {
	d.renaming.Lock()
	defer d.renaming.Unlock()
	if _, err := folder.Lstat(name); err == nil {
		return fs.ErrExist
	}
	return folder.Rename(temp, name)
}

// push writes a temporary file beside the final one and lets place give it its
// name. It syncs before and after, unless that may and can be done later.
func (d *Dir) push(ctx context.Context, root *os.Root, name string, r io.Reader, size int64, later bool,
	place func(folder *os.Root, temp, name string) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("push %s: %w", name, err)
		}
	}()
	temp := tempPrefix + rand.Text()
	folder, f, err := d.create(root, path.Dir(name), temp)
	if err != nil {
		return err
	}
	defer folder.Close()
	if later = later && d.later.begin(root, folder); later {
		defer d.later.end()
	} else if err = d.syncAbove(root, path.Dir(name)); err != nil {
		f.Close()
		folder.Remove(temp)
		return err
	}
	err = writeFile(ctx, f, r, size, later)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = place(folder, temp, path.Base(name))
	}
	if err != nil {
		folder.Remove(temp)
		return err
	}
	if later {
		return nil
	}
	return syncFolder(folder, ".")
}

// tempPrefix begins the names of files that are being written.
const tempPrefix = ".tmp-"

// createTries is how often a folder may go before it has its first file. Only
// another process can take it away, and does that once.
const createTries = 10

// create makes a file in a folder, and the folder if need be. From then on the
// folder stays, as it is not empty.
func (d *Dir) create(root *os.Root, dir, name string) (folder *os.Root, f *os.File, err error) {
	d.folders.RLock()
	defer d.folders.RUnlock()
	for range createTries {
		folder, err = root.OpenRoot(dir)
		if errors.Is(err, fs.ErrNotExist) {
			if err = d.mkdirAll(root, dir); err == nil {
				folder, err = root.OpenRoot(dir)
			}
		}
		if err == nil {
			if f, err = folder.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644); err == nil {
				return folder, f, nil
			}
			folder.Close()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return nil, nil, err
}

// mkdirAll makes a folder and those above it. What it has made is not durable,
// whatever was known of a folder of this name before.
func (d *Dir) mkdirAll(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	if err := d.mkdirAll(root, path.Dir(dir)); err != nil {
		return err
	}
	err := root.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) { // what is no folder, OpenRoot tells
		return nil
	}
	if err == nil {
		d.synced.Delete(dir)
	}
	return err
}

// writeFile writes the size bytes of r to a new file, and syncs it unless that
// is done later.
func writeFile(ctx context.Context, f *os.File, r io.Reader, size int64, later bool) error {
	n, err := io.Copy(f, &limitedReader{ctx: ctx, r: r, left: size})
	if err == nil && n != size {
		err = fmt.Errorf("want %d bytes, got %d: %w", size, n, io.ErrUnexpectedEOF)
	}
	if err == nil && !later {
		err = f.Sync()
	}
	return cmp.Or(err, f.Close())
}

// A limitedReader reads until its context ends, and fails when there are more
// bytes than expected.
type limitedReader struct {
	ctx  context.Context
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left+1)])
	if l.left -= int64(n); l.left < 0 {
		return 0, errors.New("reader holds more bytes than its size says")
	}
	return n, err
}

// syncAbove makes the entries of a folder and of those above it durable. Each
// is synced once in the life of d, not only when it was created here: another
// goroutine may have created it and not yet synced.
func (d *Dir) syncAbove(root *os.Root, folder string) error {
	for ; folder != "."; folder = path.Dir(folder) {
		if _, done := d.synced.Load(folder); done {
			return nil
		}
		if err := syncFolder(root, path.Dir(folder)); err != nil {
			return err
		}
		defer d.synced.Store(folder, true) // when those above it are durable too
	}
	return nil
}

// syncFolder makes the entries of a folder durable. Windows has no such call.
func syncFolder(root *os.Root, folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := root.Open(folder)
	if err != nil {
		return err
	}
	return cmp.Or(f.Sync(), f.Close())
}

// Delete removes a file, and the folders above it that are empty then.
//
// A folder that goes while somebody pushes into it is made again. Where that is
// another process, only the lock keeps a third one, which pushes into it too,
// from taking it to be durable.
func (d *Dir) Delete(ctx context.Context, name string) error {
	root, err := d.root(ctx, "delete", name)
	if err != nil {
		return err
	}
	defer root.Close()
	if info, err := root.Lstat(name); err == nil && info.IsDir() {
		return nil // to a store, no file of this name
	}
	err = root.Remove(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	if err == nil {
		d.prune(root, path.Dir(name))
	}
	return nil
}

// prune removes a folder and those above it, as far as they are empty. It is for
// tidiness only, so what cannot be removed stays.
func (d *Dir) prune(root *os.Root, folder string) {
	d.folders.Lock()
	defer d.folders.Unlock()
	for ; folder != "."; folder = path.Dir(folder) {
		if info, err := root.Lstat(folder); err != nil || !info.IsDir() { // a link to a folder is somebody's own
			return
		}
		if root.Remove(folder) != nil {
			return
		}
		d.synced.Delete(folder)
	}
}

// Tidy removes the empty folders below one, and those above them that are empty
// then: a Delete that was cut short may have left some.
func (d *Dir) Tidy(ctx context.Context, folder string) error {
	root, err := d.root(ctx, "tidy", folder)
	if err != nil {
		return err
	}
	defer root.Close()
	fsys := root.FS()
	err = fs.WalkDir(fsys, folder, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			var inside []fs.DirEntry
			if inside, err = fs.ReadDir(fsys, name); err == nil && len(inside) == 0 {
				d.prune(root, name)
			}
		}
		if errors.Is(err, fs.ErrNotExist) { // it has just gone
			return nil
		}
		return cmp.Or(err, ctx.Err())
	})
	if err != nil {
		return fmt.Errorf("tidy %s: %w", folder, err)
	}
	return nil
}

// List yields the files whose names begin with prefix, sorted by the bytes of
// their names. What is no regular file, or has no valid name, is left out.
func (d *Dir) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		root, err := os.OpenRoot(d.path)
		if err != nil {
			yield(Info{}, fmt.Errorf("list %s: %w", d.path, err))
			return
		}
		defer root.Close()
		l := lister{ctx: ctx, fsys: root.FS(), prefix: prefix, yield: yield}
		l.folder(".")
	}
}

// A lister walks folders in the order of full names: a folder sorts as its
// name with a slash, so that a-b comes before a/b.
type lister struct {
	ctx    context.Context
	fsys   fs.FS
	prefix string
	yield  func(Info, error) bool
}

// folder yields the files below a folder. It reports whether to go on.
func (l *lister) folder(folder string) bool {
	if err := l.ctx.Err(); err != nil {
		return l.fail(folder, err)
	}
	entries, err := fs.ReadDir(l.fsys, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return true // removed since its name was read
	}
	if err != nil {
		return l.fail(folder, err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(sortKey(a), sortKey(b)) })
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		if CheckName(name) == nil && !l.entry(name, e) {
			return false
		}
	}
	return true
}

func sortKey(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

func (l *lister) entry(name string, e fs.DirEntry) bool {
	if e.IsDir() {
		below := name + "/"
		if strings.HasPrefix(below, l.prefix) || strings.HasPrefix(l.prefix, below) {
			return l.folder(name)
		}
		return true
	}
	if !e.Type().IsRegular() || !strings.HasPrefix(name, l.prefix) {
		return true
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		return l.fail(name, err)
	}
	return l.yield(Info{Name: name, Size: info.Size(), Modified: info.ModTime()}, nil)
}

func (l *lister) fail(name string, err error) bool {
	l.yield(Info{}, fmt.Errorf("list %s: %w", name, err))
	return false
}
