package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// releases are what the publishers write about theirs.
//
//go:embed releases
var releases embed.FS

// people is how many of them use the application at once.
const people = 4

func (s *stage) keys() error {
	if err := os.CopyFS(s.dir, releases); err != nil {
		return err
	}
	if err := os.Mkdir(s.path("theirs"), 0o700); err != nil {
		return err
	}
	err := s.must(
		"mkrelease init --repo repo --keys keys",
		"mkrelease keys generate theirs/hello.key",
	)
	if err != nil {
		return err
	}
	public, err := s.run(0, "mkrelease", "keys", "public", "theirs/hello.key")
	if err != nil {
		return err
	}
	return os.WriteFile(s.path("theirs.pem"), []byte(public), 0o600)
}

func (s *stage) firstReleases() error {
	err := errors.Join(s.core("1.0.0", 1), s.module("modules", "search", "1.0.0", `SELECT count(*) FROM notes WHERE text LIKE '%7'`),
		s.module("modules", "stats", "1.0.0", `SELECT count(*) FROM notes`), s.module("addons", "hello", "1.0.0", `SELECT 'hello'`))
	if err != nil {
		return err
	}
	return s.must(
		publish+"--release releases/hello.toml --version 1.0.0 build/hello-1.0.0",
		"mkrelease keys set --repo repo --keys keys --role hello --public theirs.pem --key keys/release.key --key theirs/hello.key",
	)
}

const publish = "mkrelease publish --quiet --repo repo --keys keys "

// core builds and publishes a release of the application.
func (s *stage) core(version string, schema int) error {
	tree := "build/core-" + version
	build := exec.CommandContext(s.ctx, "go", "build", "-trimpath",
		"-ldflags", fmt.Sprintf("-s -w -X main.version=%s -X main.schema=%d", version, schema),
		"-o", s.path(filepath.FromSlash(tree), "bin", "webapp"), "github.com/treegraft-dev/treegraft/examples/webapp")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build webapp %s: %w", version, err)
	}
	return s.must(publish + "--level fast --packs 2 --release releases/core-" + version + ".toml " + tree)
}

// module makes a release of a module or an add-on, and publishes it if it is ours.
func (s *stage) module(kind, name, version, query string) error {
	tree := filepath.Join("build", name+"-"+version)
	b, err := json.Marshal(map[string]string{"path": "/" + name, "title": name, "version": version, "query": query})
	if err == nil {
		err = os.MkdirAll(s.path(tree, kind, name), 0o755)
	}
	if err == nil {
		err = os.WriteFile(s.path(tree, kind, name, "module.json"), b, 0o644)
	}
	if err != nil || kind == "addons" {
		return err
	}
	return s.must(publish + "--release releases/" + name + ".toml --version " + version + " " + filepath.ToSlash(tree))
}

func (s *stage) install() error {
	err := s.must(
		"applyrelease install --repo repo --root keys/root.json --product core site",
		"applyrelease install --product search site",
		"applyrelease install --product stats site",
		"applyrelease install --product hello site",
	)
	if err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return err
	}
	s.crowd = gather("first", s.url, people)
	s.say("  %d people come, and write and read notes, all the time", people)
	return s.use()
}

// use lets some time pass in which the application is used.
func (s *stage) use() error {
	before := s.crowd.soFar().answered
	for s.crowd.soFar().answered < before+200 {
		if s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// updateItself has the application update itself, and waits until what runs is
// as wanted.
func (s *stage) updateItself(ok func(about) bool) error {
	s.say("$ curl -X POST %s/update", s.url)
	resp, err := http.Post(s.url+"/update", "", nil)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("update: status %d", resp.StatusCode)
	}
	if _, err := s.await(ok); err != nil {
		return err
	}
	return s.use()
}

func (s *stage) second() error {
	if err := s.core("1.1.0", 2); err != nil {
		return err
	}
	return s.updateItself(func(a about) bool { return a.Version == "1.1.0" && a.Schema == 2 })
}

func (s *stage) third() error {
	if err := s.core("1.2.0", 3); err != nil {
		return err
	}
	return s.updateItself(func(a about) bool { return a.Version == "1.2.0" && a.Schema == 3 })
}

func (s *stage) others() error {
	err := errors.Join(s.module("modules", "stats", "1.1.0", `SELECT text || ' ' || count(*) FROM notes GROUP BY text ORDER BY count(*) DESC LIMIT 3`),
		s.module("addons", "hello", "1.1.0", `SELECT 'hello, ' || count(*) || ' notes'`))
	if err != nil {
		return err
	}
	err = s.must(
		publish+"--release releases/hello.toml --version 1.1.0 --key theirs/hello.key --export proposal.json build/hello-1.1.0",
		"mkrelease keys merge --repo repo --keys keys proposal.json",
	)
	if err != nil {
		return err
	}
	if err := s.updateItself(func(a about) bool { return a.Stats == "1.1.0" && a.Hello == "1.1.0" }); err != nil {
		return err
	}
	return s.must("applyrelease status site")
}

// failing lets an administrator update by hand, which ends as it began.
func (s *stage) failing() error {
	if err := s.core("1.3.0", 4); err != nil {
		return err
	}
	if _, err := s.run(updateFailed, "applyrelease", "update", "--product", "core", "site"); err != nil {
		return err
	}
	if _, err := s.await(func(a about) bool { return a.Version == "1.2.0" && a.Schema == 3 }); err != nil {
		return err
	}
	err := s.must(
		"mkrelease withdraw --repo repo --keys keys --product core --version 1.3.0 --reason duplicates",
		"applyrelease verify site",
	)
	if err != nil {
		return err
	}
	return s.use()
}

// Exit codes of the command.
const (
	updateFailed  = 70 // the update went back
	needsRecovery = 71 // it was cut short
)

func (s *stage) withdrawn() error {
	if err := s.core("1.4.0", 3); err != nil {
		return err
	}
	if err := s.updateItself(func(a about) bool { return a.Version == "1.4.0" }); err != nil {
		return err
	}
	err := s.must("mkrelease withdraw --repo repo --keys keys --product core --version 1.4.0 --reason slow --retreat")
	if err != nil {
		return err
	}
	return s.updateItself(func(a about) bool { return a.Version == "1.2.0" && a.Schema == 3 })
}

// killed ends an update in the middle, as a power cut would, and takes it up.
func (s *stage) killed() error {
	if err := s.core("1.5.0", 3); err != nil {
		return err
	}
	update := exec.CommandContext(s.ctx, s.path("bin", "applyrelease"), "update", "--product", "core", "site")
	update.Dir = s.dir
	s.say("$ applyrelease update --product core site &")
	if err := update.Start(); err != nil {
		return err
	}
	for {
		b, err := os.ReadFile(s.path("site", ".treegraft", "run"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if strings.Contains(string(b), "place hook 2") {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.say("$ kill -9 %%1")
	if err := update.Process.Kill(); err != nil {
		return err
	}
	if update.Wait() == nil {
		return errors.New("the update had ended before it was killed")
	}
	if _, err := s.run(needsRecovery, "applyrelease", "status", "--product", "core", "site"); err != nil {
		return err
	}
	if err := s.status("/about", http.StatusServiceUnavailable); err != nil {
		return err
	}
	if err := s.must("applyrelease resume site"); err != nil {
		return err
	}
	if _, err := s.await(func(a about) bool { return a.Version == "1.5.0" && a.Schema == 3 }); err != nil {
		return err
	}
	return s.use()
}

func (s *stage) maintenance() error {
	text, err := s.run(0, "applyrelease", "maintenance", "on", "--message", "back at noon", "site")
	if err != nil {
		return err
	}
	lines := strings.Fields(text)
	token := lines[len(lines)-1]
	if err := s.status("/about", http.StatusServiceUnavailable); err != nil {
		return err
	}
	if err := s.status("/about", http.StatusOK, "Treegraft-Bypass", token); err != nil {
		return err
	}
	if err := s.must("applyrelease maintenance off site"); err != nil {
		return err
	}
	if err := s.status("/about", http.StatusOK); err != nil {
		return err
	}
	return s.use()
}

// status waits until a page is answered with a status.
func (s *stage) status(path string, want int, headers ...string) error {
	for {
		got, _, err := s.get(path, headers...)
		if err != nil {
			return err
		}
		if got == want {
			shown := ""
			if len(headers) > 0 {
				shown = " -H '" + strings.Join(headers, ": ") + "'"
			}
			s.say("$ curl%s %s%s\n  %d %s", shown, s.url, path, got, http.StatusText(got))
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// historic restores the first release, with its data: the notes of that day. So
// this day's people go before, and all that they were promised is looked at.
func (s *stage) historic() error {
	if err := s.count(); err != nil {
		return err
	}
	if err := s.must("applyrelease restore --product core 1.0.0 site"); err != nil {
		return err
	}
	if _, err := s.await(func(a about) bool { return a.Version == "1.0.0" && a.Schema == 1 }); err != nil {
		return err
	}
	s.crowd = gather("historic", s.url, people)
	if err := s.use(); err != nil {
		return err
	}
	if err := s.updateItself(func(a about) bool { return a.Version == "1.5.0" && a.Schema == 3 }); err != nil {
		return err
	}
	return s.count()
}

// count has the people leave, and looks whether all their notes are there.
func (s *stage) count() error {
	notes := s.crowd.leave()
	code, body, err := s.get("/notes")
	if err != nil || code != http.StatusOK {
		return fmt.Errorf("list the notes: status %d, %w", code, err)
	}
	there := map[string]bool{}
	for _, id := range strings.Fields(string(body)) {
		there[id] = true
	}
	c := s.crowd.counts
	c.kept = len(notes)
	for id := range notes {
		if !there[id] {
			c.lost++
		}
	}
	for _, f := range s.crowd.faults {
		s.say("  broken: %s", f)
	}
	s.say("  the people leave: %v", c)
	s.total.add(c)
	return nil
}

// end ends the application, and says what became of all requests.
func (s *stage) end() error {
	if err := s.app.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	if err := s.app.Wait(); err != nil {
		return err
	}
	s.app = nil
	s.say("\nrequests: %v", s.total)
	switch {
	case s.total.lost > 0 || s.total.broken > 0:
		return errors.New("something that was accepted is lost")
	case s.total.refused == 0:
		return errors.New("nobody was turned away: has the application been used during the updates?")
	}
	return context.Cause(s.ctx)
}
