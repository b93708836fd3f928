//go:build !unix

package main

import (
	"cmp"
	"net"
	"os"
)

func listen() (*net.TCPListener, error) {
	l, err := net.Listen("tcp", cmp.Or(os.Getenv("WEBAPP_ADDRESS"), "127.0.0.1:8080"))
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// replace ends the process: here it is whoever supervises it that starts it anew.
func (a *app) replace() error { return a.end() }
