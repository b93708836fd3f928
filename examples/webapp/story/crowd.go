package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// counts are the requests of a crowd.
type counts struct {
	sent     int
	answered int // with what was asked for
	refused  int // with 503: come back later
	broken   int // without an answer, or with a wrong one
	kept     int // notes that were accepted
	lost     int // and are not there
}

// String is the bill.
func (c counts) String() string {
	return fmt.Sprintf("%d sent, %d accepted and answered, %d refused with 503, %d broken; %d notes kept, %d lost",
		c.sent, c.answered, c.refused, c.broken, c.kept, c.lost)
}

func (c *counts) add(o counts) {
	c.sent += o.sent
	c.answered += o.answered
	c.refused += o.refused
	c.broken += o.broken
	c.kept += o.kept
	c.lost += o.lost
}

// crowd are people who add notes and read them, all the time.
type crowd struct {
	url    string
	stop   chan struct{}
	people sync.WaitGroup

	mu     sync.Mutex
	counts counts
	notes  map[string]string // accepted, by id
	faults []string          // what broke, the first few
}

// gather has people come. Their notes have ids that begin with name.
func gather(name, address string, n int) *crowd {
	c := &crowd{url: address, stop: make(chan struct{}), notes: map[string]string{}}
	for i := range n {
		p := &person{crowd: c, client: http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}}
		c.people.Go(func() { p.live(fmt.Sprintf("%s-%d", name, i)) })
	}
	return c
}

// person is one of them, with one connection: of several, one may be opened and
// not used, and then net/http does not send a request again when a server that
// ends has closed it.
type person struct {
	*crowd
	client http.Client
}

// live is a person's day.
func (p *person) live(name string) {
	defer p.client.CloseIdleConnections()
	for n := 0; ; n++ {
		select {
		case <-p.stop:
			return
		default:
		}
		id, text := fmt.Sprintf("%s-%d", name, n), fmt.Sprintf("word%d", n%50)
		form := url.Values{"id": {id}, "text": {text}}.Encode()
		if !p.ask(http.MethodPost, "/notes", id, form, http.StatusCreated, "") {
			continue
		}
		p.mu.Lock()
		p.notes[id] = text
		p.mu.Unlock()
		p.ask(http.MethodGet, "/notes/"+id, "", "", http.StatusOK, text)
		if n%20 == 0 {
			p.ask(http.MethodGet, "/pages/"+[]string{"stats", "search", "hello"}[n/20%3], "", "", http.StatusOK, anything)
		}
	}
}

// anything is an answer that is not looked at.
const anything = "*"

// ask sends a request, counts what comes of it, and reports whether it was the
// answer that was asked for.
func (p *person) ask(method, path, key, body string, status int, want string) bool {
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		panic(err) // these are our own names
	}
	if key != "" { // so that it may be sent again where a connection ends before it is read
		r.Header.Set("Idempotency-Key", key)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	got, refused, err := p.send(r, status)
	well := err == nil && !refused && (got == want || want == anything)
	p.mu.Lock()
	p.counts.sent++
	switch {
	case refused:
		p.counts.refused++
	case well:
		p.counts.answered++
	default:
		p.counts.broken++
		if len(p.faults) < 5 {
			p.faults = append(p.faults, fmt.Sprintf("%s %s: want %d %q, got %q, %v", method, path, status, want, got, err))
		}
	}
	p.mu.Unlock()
	if refused {
		time.Sleep(50 * time.Millisecond)
	}
	return well
}

func (p *person) send(r *http.Request, status int) (body string, refused bool, err error) {
	resp, err := p.client.Do(r)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", false, err
	case resp.StatusCode == http.StatusServiceUnavailable:
		if resp.Header.Get("Retry-After") == "" {
			return "", false, fmt.Errorf("503 without Retry-After")
		}
		return "", true, nil
	case resp.StatusCode != status:
		return string(b), false, fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(b), false, nil
}

// leave has the people go home, and returns their notes.
func (c *crowd) leave() map[string]string {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.people.Wait()
	return c.notes
}

// soFar returns the counts while people come and go.
func (c *crowd) soFar() counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}
