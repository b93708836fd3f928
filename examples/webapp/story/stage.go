package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// stage is where the story plays: a folder, the commands, the application.
type stage struct {
	ctx context.Context
	out io.Writer
	dir string // holds bin, repo, keys, build and site

	socket *os.File // the application's, open from beginning to end
	url    string
	app    *exec.Cmd
	crowd  *crowd
	total  counts // of crowds that are gone
}

func newStage(ctx context.Context, out io.Writer, dir string) (*stage, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	s := &stage{ctx: ctx, out: &together{w: without{out, dir + string(filepath.Separator)}}, dir: dir, socket: socket, url: "http://" + l.Addr().String()}
	return s, s.buildCommands()
}

// buildCommands builds mkrelease and applyrelease in their own module.
func (s *stage) buildCommands() error {
	root, err := exec.CommandContext(s.ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/treegraft-dev/treegraft").Output()
	if err != nil {
		return fmt.Errorf("find the commands: %w", err)
	}
	build := exec.CommandContext(s.ctx, "go", "build", "-C", strings.TrimSpace(string(root)),
		"-o", s.path("bin")+string(filepath.Separator), "./cmd/mkrelease", "./cmd/applyrelease")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the commands: %w", err)
	}
	return nil
}

// path returns the name of something on the stage.
func (s *stage) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

func (s *stage) close() {
	if s.crowd != nil {
		s.crowd.leave()
	}
	if s.app != nil {
		s.app.Process.Kill()
		s.app.Wait()
	}
	s.socket.Close()
}

func (s *stage) chapter(n int, title string) { fmt.Fprintf(s.out, "\n%d. %s\n\n", n, title) }

func (s *stage) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// run runs one of the commands in the stage's folder, shows it, and wants an exit
// code. It returns what it printed.
func (s *stage) run(code int, program string, args ...string) (string, error) {
	s.say("$ %s", line(program, args))
	cmd := exec.CommandContext(s.ctx, s.path("bin", program), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "MKRELEASE_PASSPHRASE=correct horse", "CI=1")
	var stdout bytes.Buffer
	shown := &together{w: indent{s.out, "  "}}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, shown), shown
	err := cmd.Run()
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		return "", err
	}
	if got != code {
		return "", fmt.Errorf("%s %s: want exit code %d, got %d", program, args[0], code, got)
	}
	return stdout.String(), nil
}

// line is a command as one would type it.
func line(program string, args []string) string {
	all := []string{program}
	for _, a := range args {
		if strings.Contains(a, " ") {
			a = "'" + a + "'"
		}
		all = append(all, a)
	}
	return strings.Join(all, " ")
}

// must runs commands that are to go well, each given as one line.
func (s *stage) must(lines ...string) error {
	for _, line := range lines {
		words := strings.Fields(line)
		if _, err := s.run(0, words[0], words[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// start starts the application of the site, with the socket.
func (s *stage) start() error {
	s.app = exec.Command(s.path("site", "bin", "webapp"), "serve")
	s.app.Dir = s.path("site")
	s.app.Env = append(os.Environ(), "WEBAPP_LISTENER=3")
	s.app.ExtraFiles = []*os.File{s.socket}
	s.app.Stdout, s.app.Stderr = indent{s.out, "  | "}, indent{s.out, "  | "}
	s.say("$ cd site && bin/webapp serve &")
	if err := s.app.Start(); err != nil {
		return err
	}
	_, err := s.await(func(about) bool { return true })
	return err
}

// about is what the application says of itself.
type about struct {
	Version string
	Schema  int
	PID     int
	Search  string `json:"/search"` // versions of the modules
	Stats   string `json:"/stats"`
	Hello   string `json:"/hello"`
}

// await waits until the application says what is wanted of it.
func (s *stage) await(ok func(about) bool) (a about, err error) {
	for s.ctx.Err() == nil {
		if a, err = s.about(); err == nil && ok(a) {
			s.say("  webapp %s answers, with data of version %d; search %s, stats %s, hello %s", a.Version, a.Schema, a.Search, a.Stats, a.Hello)
			return a, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return a, errors.Join(s.ctx.Err(), err)
}

func (s *stage) about() (a about, err error) {
	code, body, err := s.get("/about")
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("about: status %d", code)
	}
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	return a, err
}

// get asks for a page. Headers are given as name and value.
func (s *stage) get(path string, headers ...string) (int, []byte, error) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return 0, nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

// indent sets off what a program says.
type indent struct {
	w      io.Writer
	before string
}

func (i indent) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		fmt.Fprintf(i.w, "%s%s\n", i.before, bytes.TrimRight(line, "\n"))
	}
	return len(b), nil
}

// without leaves out the name of the stage's folder.
type without struct {
	w    io.Writer
	text string
}

func (o without) Write(b []byte) (int, error) {
	_, err := o.w.Write(bytes.ReplaceAll(b, []byte(o.text), nil))
	return len(b), err
}

// together lets two streams write to one place.
type together struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *together) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.Write(b)
}
