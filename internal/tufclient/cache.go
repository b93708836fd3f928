package main

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
)

// cache is the metadata folder, as package trust sees it.
type cache string

// anchor is what init was given. Nothing ever replaces it.
func (c cache) anchor() string { return filepath.Join(string(c), "history", "root.json") }

// path returns where a file of package trust is.
func (c cache) path(name string) string {
	if name == "time" || strings.HasSuffix(name, ".root.json") && !strings.HasPrefix(name, "product.") {
		return filepath.Join(string(c), "history", name)
	}
	return filepath.Join(string(c), name)
}

func (c cache) Read(name string, max int64) ([]byte, error) { return smallfile.Read(c.path(name), max) }

// Write keeps a file. A root, which can only be the newest, is shown as well.
func (c cache) Write(name string, b []byte) error {
	path := c.path(name)
	err := atomicfs.WriteFile(path, b, 0o600)
	if name != "time" && filepath.Base(filepath.Dir(path)) == "history" {
		err = errors.Join(err, atomicfs.WriteFile(c.path("root.json"), b, 0o600))
	}
	return err
}

// flatName makes the name of a target that of one file.
func flatName(target string) string { return url.PathEscape(target) }
