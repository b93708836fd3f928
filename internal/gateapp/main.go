// Command gateapp is a small web application of a tree, for the scripts that
// test how updates and running programs get along:
//
//	gateapp serve TREE       ask at the gate, then answer with the file "app"
//	gateapp get TREE PATH [HEADER...]
//	                         ask the application of a tree for a page
//	gateapp await FILE [TEXT]
//	                         wait until a file is there and holds a text
//	gateapp with TREE PROGRAM ARG...
//	                         run a program; PID in ARG is the application's
//
// Serve tells on stdout and in TREE/told what happens, and leaves its address in
// TREE/address.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/treegraft-dev/treegraft/client/detach"
	"github.com/treegraft-dev/treegraft/client/gate"
	"github.com/treegraft-dev/treegraft/client/gate/httpgate"
)

// often is the time between two looks at something.
const often = 10 * time.Millisecond

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("want a verb and its arguments")
	}
	run := map[string]func([]string) error{"serve": serve, "get": get, "await": await, "with": with}[os.Args[1]]
	if run == nil {
		log.Fatalf("no verb %q", os.Args[1])
	}
	if err := run(os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}

// app is a running application.
type app struct {
	dir     string
	handler *httpgate.Handler
	ready   chan struct{} // closed when pass is there
	pass    *gate.Pass
	down    chan struct{} // closed when it is to end
	told    io.Writer
	stays   bool // does not let go, but ends when it is told to
	deaf    bool // does nothing that it is asked
}

func serve(args []string) error {
	f := flag.NewFlagSet("serve", flag.ExitOnError)
	name := f.String("name", "web", "")
	a := &app{ready: make(chan struct{}), down: make(chan struct{})}
	f.BoolVar(&a.stays, "stays", false, "do not disconnect, but end when asked")
	f.BoolVar(&a.deaf, "deaf", false, "do nothing that is asked, and ignore SIGTERM")
	park := f.Bool("park", true, "wait while the gate is closed")
	f.Parse(args)
	dir, err := filepath.Abs(f.Arg(0))
	if err != nil {
		return err
	}
	a.dir = dir
	told, err := os.OpenFile(filepath.Join(dir, "told"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer told.Close()
	a.told = io.MultiWriter(os.Stdout, told)
	if a.deaf {
		signal.Ignore(syscall.SIGTERM)
	}
	a.handler = httpgate.New(http.HandlerFunc(a.answer), httpgate.Options{Dir: a.dir, Every: often})
	if o, err := detach.Last(a.dir); err != nil {
		return err
	} else if o != nil {
		fmt.Fprintln(a.told, "the last update:", o.Changes, o.Error)
	}
	a.pass, err = gate.Enter(context.Background(), gate.Options{Dir: a.dir, Name: *name, Park: *park, Every: often, Events: a.event})
	if err != nil {
		return err
	}
	defer a.pass.Leave()
	close(a.ready)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(a.dir, "address"), fmt.Appendf(nil, "http://%s %d\n", l.Addr(), os.Getpid()), 0o600); err != nil {
		return err
	}
	fmt.Fprintln(a.told, "running")
	server := &http.Server{Handler: a.handler}
	go server.Serve(l)
	a.untilDown()
	return server.Shutdown(context.Background())
}

// untilDown returns when the program is to end, or the tree has gone with its test.
func (a *app) untilDown() {
	for {
		select {
		case <-a.down:
			return
		case <-time.After(time.Second):
			if _, err := os.Stat(a.dir); err != nil {
				return
			}
		}
	}
}

// answer answers with the file "app". The path /slow waits until the file "go"
// is there, /quit ends the program, and /update has it updated and started anew.
func (a *app) answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/slow":
		fmt.Fprintln(a.told, "a slow request is here")
		if err := await([]string{filepath.Join(a.dir, "go")}); err != nil {
			log.Print(err)
		}
	case "/update":
		if err := a.update(); err != nil {
			log.Print(err)
		}
		close(a.down)
	case "/quit":
		close(a.down)
	}
	http.ServeFile(w, r, filepath.Join(a.dir, "app"))
}

// update starts an updater that waits for the end of this program.
func (a *app) update() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command("applyrelease", "update", "--detach", "--wait-pid", detach.Self(), "--restart", self, a.dir, "--", "serve", a.dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func (a *app) event(e gate.Event) {
	fmt.Fprintln(a.told, e.Kind, e.Reason.State, e.Reason.Phase)
	switch {
	case a.deaf:
	case e.Kind == gate.PleaseDisconnect && a.stays:
		a.pass.Ack("work is not saved")
	case e.Kind == gate.PleaseDisconnect:
		go a.disconnect()
	case e.Kind == gate.PleaseDown:
		close(a.down)
	case e.Kind == gate.Reopened:
		go a.resume()
	}
}

func (a *app) disconnect() {
	<-a.ready
	if err := errors.Join(a.handler.Drain(context.Background()), a.pass.Disconnect()); err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(a.told, "disconnected")
}

func (a *app) resume() {
	if err := a.pass.Resume(context.Background()); err != nil {
		log.Fatal(err)
	}
	a.handler.Resume()
	fmt.Fprintln(a.told, "resumed")
}

// get prints status, headers and body of a page. Headers for the request follow
// the path, as NAME: VALUE, where a VALUE like @FILE is the token in FILE.
func get(args []string) error {
	if len(args) < 2 {
		return errors.New("want get TREE PATH [HEADER...]")
	}
	address, _, err := locate(args[0])
	if err != nil {
		return err
	}
	r, err := http.NewRequest(http.MethodGet, address+args[1], nil)
	if err != nil {
		return err
	}
	for _, h := range args[2:] {
		name, value, _ := strings.Cut(h, ": ")
		if file, ok := strings.CutPrefix(value, "@"); ok {
			if value, err = readToken(file); err != nil {
				return err
			}
		}
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	resp.Header.Write(os.Stdout)
	fmt.Println()
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

func readToken(name string) (string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	var v struct{ Token string }
	return v.Token, json.Unmarshal(b, &v)
}

// locate returns where the application of a tree answers, and its process.
func locate(tree string) (address, pid string, err error) {
	name := filepath.Join(tree, "address")
	if err := await([]string{name, "\n"}); err != nil {
		return "", "", err
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return "", "", err
	}
	address, pid, _ = strings.Cut(strings.TrimSpace(string(b)), " ")
	return address, pid, nil
}

// with runs a program, and ends with its exit code.
func with(args []string) error {
	_, pid, err := locate(args[0])
	if err != nil {
		return err
	}
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "PID", pid)
	}
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	return err
}

// await waits until a file is there and holds a text.
func await(args []string) error {
	want := []byte(strings.Join(args[1:], " "))
	for {
		b, err := os.ReadFile(args[0])
		if err == nil && bytes.Contains(b, want) {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		time.Sleep(often)
	}
}
