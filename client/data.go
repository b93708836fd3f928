package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

const dataName = "data" // versions of data, by product

// Data returns the recorded version of the product's data.
func (c *Client) Data() (lifecycle.Data, error) {
	all, err := c.dataVersions()
	return all[c.settings.Product], err
}

func (c *Client) dataVersions() (map[string]lifecycle.Data, error) {
	all := map[string]lifecycle.Data{}
	b, err := readUpTo(c.shared(dataName), maxSettings)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.shared(dataName), err)
	}
	return all, nil
}

// setData records the version of the product's data, durably.
func (c *Client) setData(d lifecycle.Data) error {
	all, err := c.dataVersions()
	if err != nil || all[c.settings.Product] == d {
		return err
	}
	all[c.settings.Product] = d
	b, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return err
	}
	return atomicfs.WriteFile(c.shared(dataName), append(b, '\n'), 0o600)
}

// queryData asks a release's own command what version the data has.
func (s *session) queryData(ctx context.Context, r *Run, m *manifest.Manifest) (lifecycle.Data, error) {
	was, err := s.c.Data()
	if err != nil {
		return 0, err
	}
	out, err := s.runCommand(ctx, r, m, command{step: "query", phase: "query", argv: m.Release.Schema.Query, old: was})
	if err != nil {
		return 0, err
	}
	return lifecycle.ParseData(strings.TrimSpace(strings.Join(out, "\n")))
}
