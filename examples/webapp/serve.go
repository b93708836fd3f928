package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/treegraft-dev/treegraft/client/gate"
	"github.com/treegraft-dev/treegraft/client/gate/httpgate"
)

// app is a serving process.
type app struct {
	dir      string
	schema   int
	listener *net.TCPListener
	server   *http.Server
	open     connections
	served   chan struct{} // closed when no connection comes anymore
	gate     *httpgate.Handler
	restart  chan struct{} // filled when the gate is open again
	down     chan struct{} // filled when the process is to end

	mu      sync.Mutex
	pass    *gate.Pass
	notes   *notes // nil while the process is not connected
	modules []module
	updater chan struct{} // closed when the updater that was started last has ended
}

// serve answers requests until it is told to end. When an update is over, it
// replaces itself by what then is installed, with the same socket: who connects
// meanwhile waits, and is not refused.
func serve(ctx context.Context, dir string, schema int) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	l, err := listen()
	if err != nil {
		return err
	}
	a := &app{dir: dir, schema: schema, listener: l, restart: make(chan struct{}, 1), down: make(chan struct{}, 1)}
	a.gate = httpgate.New(a.routes(), httpgate.Options{Dir: dir, Every: 100 * time.Millisecond, RetryAfter: time.Second})
	if err := a.gate.Drain(ctx); err != nil { // accept nothing before there is data
		return err
	}
	a.server = &http.Server{Handler: a.gate, ReadHeaderTimeout: 10 * time.Second, ConnState: a.open.note}
	a.served = make(chan struct{})
	go func() {
		defer close(a.served)
		a.server.Serve(l) // until the socket is closed
	}()
	if err := a.connect(ctx); err != nil {
		return err
	}
	log.Printf("serves %s at %s", filepath.Base(dir), l.Addr())
	select {
	case <-ctx.Done():
	case <-a.down:
	case <-a.restart:
		return a.replace()
	}
	return a.end()
}

// connect waits at the gate, and opens the data.
func (a *app) connect(ctx context.Context) error {
	a.mu.Lock() // events wait until all of it is there
	defer a.mu.Unlock()
	pass, err := gate.Enter(ctx, gate.Options{Dir: a.dir, Name: "webapp " + version, Park: true, Every: 100 * time.Millisecond, Events: a.event})
	if err != nil {
		return err
	}
	a.pass = pass
	if a.notes, err = openNotes(ctx, a.dir, a.schema); err != nil {
		return errors.Join(err, pass.Leave())
	}
	if a.modules, err = loadModules(a.dir); err != nil {
		return errors.Join(err, pass.Leave())
	}
	a.gate.Resume()
	return nil
}

// event does what an update asks for.
func (a *app) event(e gate.Event) {
	switch e.Kind {
	case gate.PleaseDisconnect:
		go a.disconnect(e.Deadline)
	case gate.PleaseDown:
		fill(a.down)
	case gate.Reopened:
		fill(a.restart)
	}
}

// fill leaves a word for whoever looks next; once is enough.
func fill(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// disconnect answers what has been accepted, accepts nothing more, and lets go
// of the data.
func (a *app) disconnect(deadline time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	if err := a.gate.Drain(ctx); err != nil {
		log.Print(err) // then the process will be asked to end
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := errors.Join(a.notes.close(), a.pass.Disconnect()); err != nil {
		log.Print(err)
	}
}

// end answers what has been accepted, and ends.
func (a *app) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := errors.Join(a.gate.Drain(ctx), a.shutdown(ctx))
	a.mu.Lock()
	defer a.mu.Unlock()
	return errors.Join(err, a.notes.close(), a.pass.Leave())
}

// routes are the pages.
func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.front)
	mux.HandleFunc("GET /about", a.about)
	mux.HandleFunc("POST /notes", a.addNote)
	mux.HandleFunc("GET /notes", a.listNotes)
	mux.HandleFunc("GET /notes/{id}", a.getNote)
	mux.HandleFunc("GET /pages/{name}", a.page)
	mux.HandleFunc("POST /update", a.update)
	return mux
}

func (a *app) front(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "<h1>Notes %s</h1>\n", html.EscapeString(version))
	for _, m := range a.modules {
		fmt.Fprintf(w, "<a href=\"/pages%s\">%s %s</a>\n", html.EscapeString(m.Path), html.EscapeString(m.Title), html.EscapeString(m.Version))
	}
}

// about is for programs: what runs here.
func (a *app) about(w http.ResponseWriter, _ *http.Request) {
	about := map[string]any{"version": version, "schema": a.schema, "pid": os.Getpid()}
	for _, m := range a.modules {
		about[m.Path] = m.Version
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(about)
}

func (a *app) addNote(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	id, text := r.PostFormValue("id"), r.PostFormValue("text")
	if id == "" || len(id) > 100 {
		http.Error(w, "want an id of at most 100 bytes", http.StatusBadRequest)
		return
	}
	if err := a.notes.add(r.Context(), id, text); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func (a *app) listNotes(w http.ResponseWriter, r *http.Request) {
	ids, err := a.notes.column(r.Context(), `SELECT id FROM notes ORDER BY id`)
	if err != nil {
		fail(w, err)
		return
	}
	fmt.Fprintln(w, strings.Join(ids, "\n"))
}

func (a *app) getNote(w http.ResponseWriter, r *http.Request) {
	text, ok, err := a.notes.get(r.Context(), r.PathValue("id"))
	switch {
	case err != nil:
		fail(w, err)
	case !ok:
		http.NotFound(w, r)
	default:
		fmt.Fprint(w, text)
	}
}

// page is a page of a module.
func (a *app) page(w http.ResponseWriter, r *http.Request) {
	for _, m := range a.modules {
		if m.Path != "/"+r.PathValue("name") {
			continue
		}
		values, err := a.notes.column(r.Context(), m.Query)
		if err != nil {
			fail(w, err)
			return
		}
		fmt.Fprintf(w, "%s %s: %s\n", m.Title, m.Version, strings.Join(values, ", "))
		return
	}
	http.NotFound(w, r)
}

// update starts an updater, and does not wait for it: it will wait for us.
func (a *app) update(w http.ResponseWriter, _ *http.Request) {
	cmd := exec.Command(filepath.Join(a.dir, "bin", "webapp"), "update")
	cmd.Dir, cmd.Stdout, cmd.Stderr = a.dir, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fail(w, err)
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := cmd.Wait(); err != nil {
			log.Printf("update: %v", err)
		}
	}()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.updater = ended
	w.WriteHeader(http.StatusAccepted)
}

func fail(w http.ResponseWriter, err error) {
	log.Print(err)
	http.Error(w, "this went wrong", http.StatusInternalServerError)
}
