package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// A module is a page of its own: a product that brings the file
// modules/NAME/module.json, or addons/NAME/module.json.
type module struct {
	Path    string `json:"path"`
	Title   string `json:"title"`
	Version string `json:"version"`
	Query   string `json:"query"` // its first column is what the page shows
}

// loadModules reads what is installed.
func loadModules(dir string) (all []module, err error) {
	var names []string
	for _, kind := range []string{"modules", "addons"} {
		found, err := filepath.Glob(filepath.Join(dir, kind, "*", "module.json"))
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var m module
		if err := json.Unmarshal(b, &m); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		all = append(all, m)
	}
	return all, nil
}
