// Package nginxtest runs a real nginx for tests, and counts what it sends.
package nginxtest

import "testing"

// A Server is a running nginx.
type Server struct {
	URL string // http://127.0.0.1:port
}

// A Request is one line of the access log.
type Request struct {
	Method, URI, Range string
	Status             int
	Sent               int64 // bytes on the wire, with headers
	Body               int64 // bytes of the body
	Connection         int64 // serial number of the connection
}

// Start serves the folder root until the test ends. Directives are further
// lines for the server block. Without nginx the test is skipped.
func Start(t testing.TB, root string, directives ...string) *Server { return &Server{} }

// Requests returns the requests answered so far, in the order of their end.
func (s *Server) Requests() []Request { return nil }

// Sent returns the bytes sent so far, with headers.
func (s *Server) Sent() int64 { return 0 }
