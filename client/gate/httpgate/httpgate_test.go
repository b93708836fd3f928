package httpgate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/client/gate"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// site is a server behind a gate. Its application answers "hello", and the
// path /slow only when it may.
type site struct {
	*httptest.Server
	dir     string
	handler *Handler
	arrived chan struct{}
	proceed chan struct{}
}

func newSite(t *testing.T, o Options) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), arrived: make(chan struct{}, 100), proceed: make(chan struct{})}
	must(t, os.Mkdir(filepath.Join(s.dir, ".treegraft"), 0o700))
	o.Dir = s.dir
	if o.Every == 0 {
		o.Every = time.Nanosecond
	}
	s.handler = New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			s.arrived <- struct{}{}
			<-s.proceed
		}
		fmt.Fprint(w, "hello")
	}), o)
	s.Server = httptest.NewServer(s.handler)
	t.Cleanup(s.Close)
	return s
}

// get returns status, header and body. Headers are given as name and value.
func (s *site) get(t *testing.T, path string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.URL+path, nil)
	must(t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return do(t, r)
}

func do(t *testing.T, r *http.Request) (int, http.Header, string) {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, resp.Header, string(b)
}

func TestMaintenance(t *testing.T) {
	s := newSite(t, Options{Always: func(r *http.Request) bool { return r.URL.Path == "/live" }})
	if code, _, body := s.get(t, "/"); code != 200 || body != "hello" {
		t.Fatalf("want hello, got %d %q", code, body)
	}
	token, err := gate.StartMaintenance(s.dir, gate.Maintenance{Message: "back at <b>noon</b>", RetryAfter: 90})
	must(t, err)
	for name, c := range map[string]struct {
		path, header, value string
		code                int
		body                string
	}{
		"user":                {"/", "Accept", "text/html", 503, "back at &lt;b&gt;noon&lt;/b&gt;"},
		"program":             {"/", "Accept", "application/json", 503, `"state":"maintenance"`},
		"browser":             {"/", "Accept", "text/html,application/json", 503, "<!doctype html>"},
		"administrator":       {"/", BypassHeader, token, 200, "hello"},
		"cookie":              {"/", "Cookie", BypassCookie + "=" + token, 200, "hello"},
		"no token":            {"/", BypassHeader, "", 503, "<form"},
		"wrong token":         {"/", BypassHeader, token + "x", 503, "<form"},
		"part of the token":   {"/", BypassHeader, token[:8], 503, "<form"},
		"token in an address": {"/?" + BypassCookie + "=" + token, "Accept", "*/*", 503, "<form"},
		"question of life":    {"/live", "Accept", "*/*", 200, "hello"},
	} {
		code, header, body := s.get(t, c.path, c.header, c.value)
		if code != c.code || !strings.Contains(body, c.body) {
			t.Errorf("%s: want %d with %q, got %d %q", name, c.code, c.body, code, body)
		}
		if code == 503 && (header.Get("Retry-After") != "90" || header.Get("Cache-Control") != "no-store") {
			t.Errorf("%s: want to be told when to come back, got %v", name, header)
		}
	}
	// A new token ends the old one.
	second, err := gate.StartMaintenance(s.dir, gate.Maintenance{})
	must(t, err)
	if code, _, _ := s.get(t, "/", BypassHeader, token); code != 503 {
		t.Errorf("the old token: want 503, got %d", code)
	}
	if code, _, _ := s.get(t, "/", BypassHeader, second); code != 200 {
		t.Errorf("the new token: want 200, got %d", code)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, ".treegraft", "maintenance"))
	if err != nil || strings.Contains(string(b), second) {
		t.Errorf("the token itself is in the record: %s, %v", b, err)
	}
	must(t, gate.EndMaintenance(s.dir))
	must(t, gate.EndMaintenance(s.dir))
	if code, _, _ := s.get(t, "/"); code != 200 {
		t.Errorf("after maintenance: want 200, got %d", code)
	}
}

func TestForm(t *testing.T) {
	s := newSite(t, Options{})
	token, err := gate.StartMaintenance(s.dir, gate.Maintenance{})
	must(t, err)
	post := func(path, kind, body string) (int, http.Header) {
		r, err := http.NewRequest(http.MethodPost, s.URL+path, strings.NewReader(body))
		must(t, err)
		r.Header.Set("Content-Type", kind)
		code, header, _ := do(t, r)
		return code, header
	}
	const form = "application/x-www-form-urlencoded"
	right := url.Values{BypassCookie: {token}}.Encode()
	code, header := post("/page", form, right)
	if code != http.StatusSeeOther || header.Get("Location") != "/page" {
		t.Fatalf("want to be sent back to the page, got %d %v", code, header)
	}
	cookie := header.Get("Set-Cookie")
	if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
		t.Errorf("want a cookie for the browser alone, got %q", cookie)
	}
	if code, _, _ := s.get(t, "/page", "Cookie", cookie[:strings.Index(cookie, ";")]); code != 200 {
		t.Errorf("with the cookie: want 200, got %d", code)
	}
	if _, header := post("//elsewhere.example/", form, right); header.Get("Location") != "/elsewhere.example/" {
		t.Errorf("want to stay on the host, got %q", header.Get("Location"))
	}
	for name, c := range map[string][2]string{
		"wrong token": {form, BypassCookie + "=x"},
		"no token":    {form, ""},
		"other type":  {"text/plain", right},
		"odd type":    {";", right},
		"too long":    {form, "a=" + strings.Repeat("x", maxForm) + "&" + right},
	} {
		if code, header := post("/", c[0], c[1]); code != 503 || header.Get("Set-Cookie") != "" {
			t.Errorf("%s: want 503 and no cookie, got %d %v", name, code, header)
		}
	}
}

// TestClosed: while files and data change, nobody is let through.
func TestClosed(t *testing.T) {
	s := newSite(t, Options{RetryAfter: 7 * time.Second})
	token, err := gate.StartMaintenance(s.dir, gate.Maintenance{RetryAfter: 99})
	must(t, err)
	must(t, gate.Close(s.dir, gate.Reason{State: "migrating", Phase: "step 2 of 3"}))
	code, header, body := s.get(t, "/", BypassHeader, token, "Accept", "application/json")
	var n Notice
	must(t, json.Unmarshal([]byte(body), &n))
	if code != 503 || n != (Notice{State: "migrating", Phase: "step 2 of 3", RetryAfter: 7}) || header.Get("Retry-After") != "7" {
		t.Errorf("want the phase, got %d %+v", code, n)
	}
	if _, _, body := s.get(t, "/"); strings.Contains(body, "<form") || !strings.Contains(body, "migrating: step 2 of 3") {
		t.Errorf("want a page with the phase and no form, got %s", body)
	}
	must(t, gate.Close(s.dir, gate.Reason{State: "migrating", ETA: time.Now().Add(time.Hour)}))
	if _, header, _ := s.get(t, "/"); len(header.Get("Retry-After")) != 4 { // 3,600, or a second less
		t.Errorf("want about an hour, got %q", header.Get("Retry-After"))
	}
	must(t, gate.Open(s.dir))
	if code, _, _ := s.get(t, "/", BypassHeader, token); code != 200 {
		t.Errorf("want the administrator in, got %d", code)
	}
}

func TestBrokenRecords(t *testing.T) {
	s := newSite(t, Options{})
	name := filepath.Join(s.dir, ".treegraft", "maintenance")
	for _, text := range []string{"", "{", "[]", "null", `{"token_sha256":"zz"}`, strings.Repeat(" ", 1<<20)} {
		must(t, os.WriteFile(name, []byte(text), 0o600))
		for _, token := range []string{"", "x"} {
			if code, _, _ := s.get(t, "/", BypassHeader, token); code != 503 {
				t.Errorf("%.10q: want 503, got %d", text, code)
			}
		}
	}
}

// TestDrain: a request that was accepted is answered, and no other is accepted.
func TestDrain(t *testing.T) {
	s := newSite(t, Options{})
	var answers sync.WaitGroup
	for range 5 {
		answers.Go(func() {
			if code, _, body := s.get(t, "/slow"); code != 200 || body != "hello" {
				t.Errorf("a request that was accepted got %d %q", code, body)
			}
		})
		<-s.arrived
	}
	if n := s.handler.InFlight(); n != 5 {
		t.Fatalf("want 5 in flight, got %d", n)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.handler.Drain(short); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "5 requests") {
		t.Fatalf("want 5 to be waited for, got %v", err)
	}
	drained := make(chan error, 2)
	for range 2 { // both must hear of the end
		go func() { drained <- s.handler.Drain(t.Context()) }()
	}
	if code, header, _ := s.get(t, "/"); code != 503 || header.Get("Retry-After") != "30" {
		t.Errorf("want 503 while draining, got %d", code)
	}
	close(s.proceed)
	must(t, <-drained)
	must(t, <-drained)
	answers.Wait()
	if n := s.handler.InFlight(); n != 0 {
		t.Errorf("want none in flight, got %d", n)
	}
	must(t, s.handler.Drain(t.Context()))
	s.handler.Resume()
	if code, _, _ := s.get(t, "/"); code != 200 {
		t.Errorf("after Resume: want 200, got %d", code)
	}
}

func TestOwnPage(t *testing.T) {
	s := newSite(t, Options{Page: func(w http.ResponseWriter, _ *http.Request, n Notice) { fmt.Fprint(w, "ours: ", n.State) }})
	must(t, gate.Close(s.dir, gate.Reason{State: "applying"}))
	if code, _, body := s.get(t, "/"); code != 503 || body != "ours: applying" {
		t.Errorf("got %d %q", code, body)
	}
}

// TestLooksNowAndThen: a server under load does not read a file for each request.
func TestLooksNowAndThen(t *testing.T) {
	s := newSite(t, Options{Every: time.Hour})
	s.get(t, "/")
	must(t, gate.Close(s.dir, gate.Reason{State: "applying"}))
	if code, _, _ := s.get(t, "/"); code != 200 {
		t.Errorf("want what was seen before, got %d", code)
	}
	s.handler.Resume()
	if code, _, _ := s.get(t, "/"); code != 503 {
		t.Errorf("want a new look after Resume, got %d", code)
	}
}
