package client

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// defaultChannel is the channel of releases and installs that name none.
const defaultChannel = "stable"

// settings is what an install remembers of its options.
type settings struct {
	Repository string   `json:"repository,omitempty"`
	Mirrors    []string `json:"mirrors,omitempty"`
	Product    string   `json:"-"` // names the folder
	Channel    string   `json:"channel"`
	Platform   string   `json:"platform,omitempty"`
	Floor      uint64   `json:"floor,omitempty"`
	Strategy   string   `json:"strategy,omitempty"`
	Pin        string   `json:"pin,omitempty"` // version that updates go to
	Snapshots  int      `json:"snapshots,omitempty"`

	TooNew   lifecycle.WhenTooNew `json:"too_new,omitempty"`
	Unstable bool                 `json:"unstable,omitempty"`
}

// New opens the tree's settings. It makes no request, takes no lock, and
// creates nothing.
func New(o Options) (*Client, error) {
	if o.Dir == "" {
		return nil, errors.New("new client: no folder")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("new client: %w", err)
	}
	o.Dir = dir
	if o.Repository != "" {
		all, err := absolute([]string{o.Repository})
		if err != nil {
			return nil, fmt.Errorf("new client: %w", err)
		}
		o.Repository = all[0]
	}
	if o.Mirrors, err = absolute(o.Mirrors); err != nil {
		return nil, fmt.Errorf("new client: %w", err)
	}
	c := &Client{o: o}
	if c.settings.Product = o.Product; o.Product == "" {
		if c.settings.Product, err = onlyProduct(dir); err != nil {
			return nil, fmt.Errorf("new client: %w", err)
		}
	} else if err := manifest.CheckName(o.Product); err != nil {
		return nil, fmt.Errorf("new client: product: %w", err)
	}
	err = c.loadSettings(c.settings.Product)
	if errors.Is(err, fs.ErrNotExist) {
		err = c.inherit()
	}
	if err != nil {
		return nil, fmt.Errorf("read settings of %s: %w", dir, err)
	}
	c.override()
	return c, c.settings.check()
}

// loadSettings reads what an install of a product has left.
func (c *Client) loadSettings(product string) error {
	b, err := smallfile.Read(c.shared(productsName, product, settingsName), maxState)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode(&c.settings)
}

// inherit takes what the options of a product that is new to the tree do not
// say from the product that others depend on: a module comes from where the
// rest came from. Its floor and its pin are its own.
func (c *Client) inherit() error {
	if c.o.Repository != "" || c.o.Store != nil && c.o.Root != nil {
		return nil
	}
	installed, err := Products(c.o.Dir)
	if err != nil || len(installed) == 0 {
		return err
	}
	first := installed[0].Product
	if err := c.loadSettings(first); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c.settings.Floor, c.settings.Pin, c.like = 0, "", first
	if c.o.Root == nil {
		c.o.Root, err = smallfile.Read(c.shared(productsName, first, rootName), maxState)
	}
	return err
}

// platform returns the platform whose releases the client takes.
func (c *Client) platform() string {
	if c.settings.Platform == "" {
		return manifest.HostPlatform()
	}
	return c.settings.Platform
}

// absolute returns locations that mean the same from any folder.
func absolute(locations []string) (all []string, err error) {
	for _, l := range locations {
		if !strings.Contains(l, "://") {
			if l, err = filepath.Abs(l); err != nil {
				return nil, err
			}
		}
		all = append(all, l)
	}
	return all, nil
}

// override lets the options go before what was remembered.
func (c *Client) override() {
	for _, f := range []struct {
		saved  *string
		option string
	}{
		{&c.settings.Repository, c.o.Repository},
		{&c.settings.Channel, c.o.Channel},
		{&c.settings.Platform, c.o.Platform},
		{&c.settings.Strategy, c.o.Strategy},
	} {
		if f.option != "" {
			*f.saved = f.option
		}
	}
	if len(c.o.Mirrors) > 0 {
		c.settings.Mirrors = c.o.Mirrors
	}
	c.settings.Floor = max(c.settings.Floor, c.o.Floor)
	c.settings.TooNew = cmp.Or(c.o.TooNew, c.settings.TooNew)
	c.settings.Unstable = c.o.Unstable || c.settings.Unstable
	c.settings.Snapshots = cmp.Or(c.o.Snapshots, c.settings.Snapshots)
	if c.settings.Channel == "" {
		c.settings.Channel = defaultChannel
	}
}

func (s *settings) check() error {
	var errs []error
	errs = append(errs, manifest.CheckName(s.Channel))
	if s.Platform != "" {
		errs = append(errs, manifest.CheckPlatform(s.Platform))
	}
	_, err := atomicfs.ParseStrategy(s.Strategy)
	_, err2 := lifecycle.ParseTooNew(string(s.TooNew))
	return errors.Join(append(errs, err, err2)...)
}

// saveSettings remembers the options and the trusted root in the tree.
func (c *Client) saveSettings(root []byte) error {
	if err := os.MkdirAll(c.state(), 0o700); err != nil {
		return err
	}
	if err := atomicfs.WriteFile(c.state(rootName), root, 0o600); err != nil {
		return err
	}
	return writeJSON(c.state(settingsName), &c.settings)
}

// changeSettings changes what is remembered, and nothing that options have set
// for this once.
func (c *Client) changeSettings(change func(*settings)) error {
	saved := settings{}
	if found, err := readJSON(c.state(settingsName), &saved); err != nil {
		return err
	} else if !found {
		return c.notInstalled()
	}
	change(&saved)
	change(&c.settings)
	return writeJSON(c.state(settingsName), &saved)
}

// root returns the trusted root: the caller's, or else the pinned one.
func (c *Client) root() ([]byte, error) {
	if c.o.Root != nil {
		return c.o.Root, nil
	}
	b, err := smallfile.Read(c.state(rootName), maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotInstalled
	}
	return b, err
}
