// Package demo shows the main job of treegraft on two small releases that it
// brings along: publish both, install the first over HTTP, update, verify, roll
// back, and meet a forger.
//
// Everything happens in one temporary folder and on the loopback interface, and
// it is the real thing: the publisher, the client, and a web server that counts
// what it sends. Each step compares what it has made with what it should be,
// and the demo fails at the first difference.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// Options of [Run].
type Options struct {
	Say      func(text string) // told each step as it is done
	Size     func(int64) string
	Rehearse func(context.Context, publisher.Rehearsal) error
}

// Run goes through all steps. It leaves nothing behind.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "treegraft-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := show{ctx: ctx, o: o, dir: dir}
	for i, step := range []func() (string, error){
		s.writeTrees, s.createRepository, s.publishOld, s.publishNew, s.serve,
		s.install, s.addOwnFile, s.update, s.updateAgain, s.verify, s.rollback,
		s.meetForger, s.meetDamage,
	} {
		text, err := step()
		if err != nil {
			return errors.Join(fmt.Errorf("step %d: %w", i+1, err), s.close())
		}
		o.Say(fmt.Sprintf("%2d. %s", i+1, text))
	}
	return s.close()
}

const (
	product    = "demo"
	oldVersion = "1.0.0"
	newVersion = "1.1.0"
	ownFile    = "my-notes.txt"
	ownText    = "mine\n"
)

// show is what the steps share.
type show struct {
	ctx    context.Context
	o      Options
	dir    string
	store  *store.Dir
	root   []byte // the trusted root
	key    *trust.Key
	server *server
	whole  int64 // bytes of the new release's tree
	own    bool  // the user's own file is there
}

func (s *show) path(name string) string { return filepath.Join(s.dir, name) }

func (s *show) close() error {
	if s.server == nil {
		return nil
	}
	return s.server.close()
}

func (s *show) writeTrees() (string, error) {
	for _, v := range []string{oldVersion, newVersion} {
		if err := writeTree(s.path(v), v); err != nil {
			return "", err
		}
	}
	old, err := manifest.Scan(s.ctx, s.path(oldVersion), manifest.ScanOptions{})
	if err != nil {
		return "", err
	}
	entries, err := manifest.Scan(s.ctx, s.path(newVersion), manifest.ScanOptions{})
	if err != nil {
		return "", err
	}
	s.whole = (&manifest.Manifest{Entries: entries}).Content()
	return fmt.Sprintf("Here are two releases of a small product, %s and %s: %d and %d entries, %s each; %d differ.",
		oldVersion, newVersion, len(old), len(entries), s.o.Size(s.whole), len(manifest.Compare(old, entries))), nil
}

func (s *show) createRepository() (string, error) {
	if err := os.Mkdir(s.path("repo"), 0o755); err != nil {
		return "", err
	}
	var err error
	if s.store, err = store.OpenDir(s.path("repo")); err != nil {
		return "", err
	}
	recovery, err := trust.GenerateKey(trust.Ed25519)
	if err != nil {
		return "", err
	}
	if s.key, err = trust.GenerateKey(trust.Ed25519); err != nil {
		return "", err
	}
	s.root, err = publisher.Init(s.ctx, publisher.Options{Store: s.store}, recovery, s.key)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("The publisher makes two keys and an empty repository. Clients get root.json (%s), once.", s.o.Size(int64(len(s.root)))), nil
}

func (s *show) publish(version string) (*publisher.Report, error) {
	p, err := publisher.New(publisher.Options{
		Store: s.store, Root: s.root, Signers: []trust.Signer{s.key}, Rehearse: s.o.Rehearse, Temp: s.dir,
	})
	if err != nil {
		return nil, err
	}
	return p.Publish(s.ctx, publisher.Release{
		Facts: manifest.Release{Product: product, Version: version, Platform: manifest.AnyPlatform},
		Tree:  s.path(version),
	})
}

func (s *show) publishOld() (string, error) {
	r, err := s.publish(oldVersion)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("It publishes %s: %d files, compressed and signed, %s written.", oldVersion, r.Files, s.o.Size(r.Written)), nil
}

func (s *show) publishNew() (string, error) {
	r, err := s.publish(newVersion)
	if err != nil {
		return "", err
	}
	if len(r.Packs) != 1 || r.Packs[0].Skipped != "" {
		return "", fmt.Errorf("publish %s: want one delta, got %+v", newVersion, r.Packs)
	}
	return fmt.Sprintf("It publishes %s: %s of new objects, and a delta from %s of %s.",
		newVersion, s.o.Size(r.ObjectBytes), oldVersion, s.o.Size(r.Packs[0].Size)), nil
}

func (s *show) serve() (string, error) {
	var err error
	if s.server, err = listen(s.path("repo")); err != nil {
		return "", err
	}
	return fmt.Sprintf("A plain web server hands out the repository at %s, and counts.", s.server.url), nil
}

// install brings version 1.0.0 to a folder of its own.
func (s *show) install() (string, error) {
	c, err := client.New(client.Options{Dir: s.path("app"), Repository: s.server.url, Root: s.root, Product: product})
	if err != nil {
		return "", err
	}
	if _, err := c.Install(s.ctx, client.UpdateOptions{Version: oldVersion}); err != nil {
		return "", err
	}
	if err := s.compare(oldVersion); err != nil {
		return "", err
	}
	return fmt.Sprintf("A client installs %s: %s. The tree is the release.", oldVersion, s.sent()), nil
}

func (s *show) addOwnFile() (string, error) {
	err := os.WriteFile(filepath.Join(s.path("app"), ownFile), []byte(ownText), 0o600)
	s.own = true
	return "The user puts a file of their own into the folder: " + ownFile + ".", err
}

// client opens the install tree. It needs nothing but the folder: the rest was
// remembered.
func (s *show) client() (*client.Client, error) {
	return client.New(client.Options{Dir: s.path("app")})
}

func (s *show) update() (string, error) {
	c, err := s.client()
	if err != nil {
		return "", err
	}
	s.server.count()
	r, err := c.Update(s.ctx, client.UpdateOptions{})
	if err != nil {
		return "", err
	}
	if len(r.Fallbacks) > 0 {
		return "", fmt.Errorf("update: not everything came from the delta: %v", r.Fallbacks)
	}
	if err := s.compare(newVersion); err != nil {
		return "", err
	}
	return fmt.Sprintf("It updates to %s: %s, instead of %s. %d changed, %d removed; the user's file is untouched.",
		newVersion, s.sent(), s.o.Size(s.whole), r.Changed, r.Removed), nil
}

func (s *show) updateAgain() (string, error) {
	c, err := s.client()
	if err != nil {
		return "", err
	}
	r, err := c.Update(s.ctx, client.UpdateOptions{})
	if err != nil {
		return "", err
	}
	if !r.UpToDate {
		return "", fmt.Errorf("update again: want an up to date tree, got %+v", r)
	}
	return "It updates again: up to date, " + s.sent() + ".", s.compare(newVersion)
}

func (s *show) verify() (string, error) {
	c, err := s.client()
	if err != nil {
		return "", err
	}
	drift, err := c.Verify(s.ctx)
	if err != nil {
		return "", err
	}
	if len(drift) > 0 {
		return "", fmt.Errorf("verify: %v", drift)
	}
	return "It verifies every file against the signed manifest: intact.", nil
}

func (s *show) rollback() (string, error) {
	c, err := s.client()
	if err != nil {
		return "", err
	}
	s.server.count()
	if _, err := c.Rollback(s.ctx, false); err != nil {
		return "", err
	}
	if n, bytes := s.server.count(); n != 0 {
		return "", fmt.Errorf("rollback: want no request, got %d with %d bytes", n, bytes)
	}
	return "It rolls back to " + oldVersion + ", without network. The tree is the first release again.", s.compare(oldVersion)
}

// meetForger has the server flip one byte of signed metadata.
func (s *show) meetForger() (string, error) {
	c, err := s.client()
	if err != nil {
		return "", err
	}
	s.server.flip("metadata/timestamp.json", `"version":`)
	_, err = c.Update(s.ctx, client.UpdateOptions{})
	s.server.flip("", "")
	var bad *trust.SignatureError
	if !errors.As(err, &bad) {
		return "", fmt.Errorf("update from a forger: want a signature error, got %v", err)
	}
	return fmt.Sprintf("A forger changes one digit of the signed metadata. The client refuses and touches nothing:\n    %v", err), s.compare(oldVersion)
}

// meetDamage has the server flip one byte of the delta.
func (s *show) meetDamage() (string, error) {
	c, err := s.client()
	if err != nil {
		return "", err
	}
	s.server.flip("packs/", "")
	s.server.count()
	r, err := c.Update(s.ctx, client.UpdateOptions{})
	s.server.flip("", "")
	if err != nil {
		return "", err
	}
	if err := s.compare(newVersion); err != nil {
		return "", err
	}
	if len(r.Fallbacks) == 0 {
		return "", errors.New("update from a damaged delta: want to be told of whole files, got nothing")
	}
	return fmt.Sprintf("One byte of the delta is flipped: the client fetches what it needs whole, in the same run (%s), and says why:\n    %s: %s",
		s.sent(), r.Fallbacks[0].Path, r.Fallbacks[0].Reason), nil
}

// sent tells what the server has sent since it was asked last.
func (s *show) sent() string {
	requests, bytes := s.server.count()
	return fmt.Sprintf("%s in %d requests", s.o.Size(bytes), requests)
}

// compare returns an error unless the install tree is a release, and the
// user's own file is what it was.
func (s *show) compare(version string) error {
	want, err := manifest.Scan(s.ctx, s.path(version), manifest.ScanOptions{})
	if err != nil {
		return err
	}
	got, err := manifest.Scan(s.ctx, s.path("app"), manifest.ScanOptions{
		Skip: func(path string) bool { return path == ownFile },
	})
	if err != nil {
		return err
	}
	if changes := manifest.Compare(want, got); len(changes) > 0 {
		return fmt.Errorf("the tree is not %s: %d differences, the first one is %s", version, len(changes), changes[0].Path)
	}
	if !s.own {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(s.path("app"), ownFile))
	if err == nil && string(text) != ownText {
		err = fmt.Errorf("%s was changed", ownFile)
	}
	return err
}
