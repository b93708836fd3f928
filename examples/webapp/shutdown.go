package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections are those from which a request may come that is not answered yet.
type connections struct {
	mu   sync.Mutex
	busy map[net.Conn]bool
}

// note follows a server's connections. Those that wait for a next request do
// not count: whoever sends one there knows that it may have to be sent again.
func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy == nil {
		c.busy = map[net.Conn]bool{}
	}
	if state == http.StateNew || state == http.StateActive {
		c.busy[conn] = true
	} else {
		delete(c.busy, conn)
	}
}

func (c *connections) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy) == 0
}

// shutdown takes no more connections, and ends when all that came over those
// that it has is answered. http.Server.Shutdown alone would drop a request that
// is read after it has begun.
func (a *app) shutdown(ctx context.Context) error {
	a.listener.Close()
	<-a.served
	for !a.open.quiet() && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	return a.server.Shutdown(ctx)
}
