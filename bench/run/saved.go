package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/treegraft-dev/treegraft/bench/internal/report"
)

// saved is a result in the cache folder, with all that it depends on. If any
// of that has changed since, it is measured again.
type saved struct {
	Version  string // of the tool
	Settings string
	Old, New string // digests of the trees
	Result   report.Result
}

// savedPath is <cache>/results/<pair>.<tool>.json.
func savedPath(cache, pair, tool string) string {
	return filepath.Join(cache, "results", pair+"."+tool+".json")
}

// save keeps a result for later runs. Failures are not kept.
func save(cache string, s saved) error {
	if s.Result.Failed != "" {
		return nil
	}
	path := savedPath(cache, s.Result.Pair, s.Result.Tool)
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path+".part", b, 0o644), os.Rename(path+".part", path))
}

// load returns the saved result that want describes, if there is one. want
// needs everything but the figures.
func load(cache string, want saved) (report.Result, bool, error) {
	path := savedPath(cache, want.Result.Pair, want.Result.Tool)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return report.Result{}, false, nil
	}
	if err != nil {
		return report.Result{}, false, err
	}
	var got saved
	if err := json.Unmarshal(b, &got); err != nil {
		return report.Result{}, false, fmt.Errorf("read %s: %w", path, err)
	}
	same := got.Version == want.Version && got.Settings == want.Settings && got.Old == want.Old && got.New == want.New &&
		got.Result.Pair == want.Result.Pair && got.Result.Tool == want.Result.Tool
	got.Result.Origin = report.Cached
	return got.Result, same, nil
}
