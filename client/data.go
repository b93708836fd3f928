package client

import (
	"context"
	"strings"

	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// Data returns the recorded version of the product's data.
func (c *Client) Data() (lifecycle.Data, error) {
	all, err := readMap[lifecycle.Data](c.shared(dataName))
	return all[c.settings.Product], err
}

// setData records the version of the product's data, durably.
func (c *Client) setData(d lifecycle.Data) error {
	all, err := readMap[lifecycle.Data](c.shared(dataName))
	if err != nil || all[c.settings.Product] == d {
		return err
	}
	all[c.settings.Product] = d
	return writeJSON(c.shared(dataName), all)
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
