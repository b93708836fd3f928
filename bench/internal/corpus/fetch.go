package corpus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrDigest says that a tree is not the release it should be.
var ErrDigest = errors.New("tree has the wrong digest")

// Check hashes the release's tree in the cache and compares it with the
// pinned digest. A tree that was never fetched gives [fs.ErrNotExist].
func Check(cache string, r Release) (Tree, error) {
	return check(r, r.Dir(cache))
}

func check(r Release, dir string) (Tree, error) {
	t, err := TreeDigest(dir)
	if err != nil {
		return t, err
	}
	if got := t.Digest.String(); r.Tree != got {
		return t, fmt.Errorf("check %s in %s: %w: want %s, got %s", r, dir, ErrDigest, r.Tree, got)
	}
	return t, nil
}

// Fetch brings the release's tree into the cache, and replaces one that is
// damaged. It does nothing when the tree is already there and whole; fetched
// says whether it did something.
func Fetch(ctx context.Context, cache string, r Release) (t Tree, fetched bool, err error) {
	if t, err = Check(cache, r); err == nil {
		return t, false, nil
	}
	downloads := filepath.Join(cache, "downloads")
	if err := os.MkdirAll(downloads, 0o755); err != nil {
		return t, true, err
	}
	dir := r.Dir(cache)
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return t, true, err
	}
	defer os.RemoveAll(part)
	if err = fetchTree(ctx, r, downloads, part); err != nil {
		return t, true, fmt.Errorf("fetch %s: %w", r, err)
	}
	if t, err = check(r, part); err != nil {
		return t, true, err
	}
	return t, true, errors.Join(os.RemoveAll(dir), os.Rename(part, dir))
}

// fetchTree downloads the archive and lays the tree out in dir.
func fetchTree(ctx context.Context, r Release, downloads, dir string) (err error) {
	archive, unpack := "", unpackNPM
	switch r.Client {
	case GoModule:
		archive, err = fetchModule(ctx, r)
		unpack = func(archive, dir string) error { return unpackModule(archive, r.Package+"@"+r.Tag+"/", dir) }
	case NPM:
		archive, err = fetchNPM(ctx, r, downloads)
	default:
		err = fmt.Errorf("unknown client %q", r.Client)
	}
	if err != nil {
		return err
	}
	if r.Packed != "" {
		return keepPacked(archive, r.Packed, dir)
	}
	return unpack(archive, dir)
}

// fetchModule leaves the zip file in Go's own module cache, where the go
// command has checked it against the checksum database. It runs outside any
// module: inside one, go would add to its go.sum.
func fetchModule(ctx context.Context, r Release) (archive string, err error) {
	away, err := os.MkdirTemp("", "corpus")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(away)
	out, err := client(ctx, away, "go", "mod", "download", "-json", r.Package+"@"+r.Tag)
	if err != nil {
		return "", err
	}
	var got struct{ Zip, Error string }
	if err := json.Unmarshal(out, &got); err != nil {
		return "", fmt.Errorf("read answer of go mod download: %w", err)
	}
	if got.Error != "" {
		return "", errors.New(got.Error)
	}
	return got.Zip, nil
}

func fetchNPM(ctx context.Context, r Release, downloads string) (archive string, err error) {
	out, err := client(ctx, downloads, "npm", "pack", "--json", "--ignore-scripts", r.Package+"@"+r.Version)
	if err != nil {
		return "", err
	}
	var got []struct{ Filename string }
	if err := json.Unmarshal(out, &got); err != nil {
		return "", fmt.Errorf("read answer of npm pack: %w", err)
	}
	if len(got) != 1 || got[0].Filename != filepath.Base(got[0].Filename) {
		return "", fmt.Errorf("read answer of npm pack: want one file name, got %q", out)
	}
	return filepath.Join(downloads, got[0].Filename), nil
}

// client runs a package client in dir and returns what it printed.
func client(ctx context.Context, dir string, argv ...string) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w: %.2000s%.2000s", cmd, err, out, stderr.Bytes())
	}
	return out, nil
}
