// Package nginxtest runs a real nginx for tests, and counts what it sends.
//
// Each [Start] is a process of its own with its own folder and its own port on
// 127.0.0.1, run by the user who runs the test. It needs no installed
// configuration. The test opens the listening socket and hands it over, so
// that no other program can take the port in between and a request sent at
// once is not refused.
package nginxtest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A Server is a running nginx.
type Server struct {
	// URL is http://127.0.0.1:port, without a slash at its end.
	URL string

	t      testing.TB
	prefix string
	exited chan struct{} // closed when the process has ended
	marks  atomic.Int64
}

// A Request is one line of the access log.
type Request struct {
	Method, URI string
	Range       string // the Range header, "" without one
	Status      int
	Sent        int64 // bytes on the wire, with headers
	Body        int64 // bytes of the body
	Connection  int64 // serial number of the connection
}

// find returns the path of nginx, or skips the test.
func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("this test needs nginx (Debian: apt install nginx-light)")
	return ""
}

// Start serves the folder root until the test ends. Directives are further
// lines for the server block, such as "max_ranges 0;". Without nginx the test
// is skipped.
func Start(t testing.TB, root string, directives ...string) *Server {
	t.Helper()
	program := find(t)
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // nginx keeps its own copy
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()

	address := listener.Addr().String()
	s := &Server{URL: "http://" + address, t: t, prefix: t.TempDir(), exited: make(chan struct{})}
	conf := filepath.Join(s.prefix, "nginx.conf")
	if err := os.WriteFile(conf, []byte(configuration(address, root, directives)), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-p", s.prefix, "-c", conf, "-e", filepath.Join(s.prefix, "error.log"))
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Env = append(os.Environ(), "NGINX=3;") // file descriptors to listen on
	if err := cmd.Start(); err != nil {
		t.Fatalf("start nginx: %v", err)
	}
	go func() { cmd.Wait(); close(s.exited) }()
	t.Cleanup(func() {
		// Its master ends the worker; a killed master would leave it behind.
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			cmd.Process.Kill()
		}
		<-s.exited
	})
	s.mark() // it answers, or has failed and says why
	return s
}

// configuration returns the whole nginx.conf. Its one worker runs as the user
// of the test, who can read the test's private folders. The master stays,
// because only then nginx 1.22 answers on a socket that it was handed.
func configuration(address, root string, directives []string) string {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	return fmt.Sprintf(`
daemon off;
%s
worker_processes 1;
pid nginx.pid;
events { worker_connections 1024; }
http {
	log_format counted "$request_method\t$request_uri\t$http_range\t$status\t$bytes_sent\t$body_bytes_sent\t$connection";
	access_log access.log counted;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	default_type application/octet-stream;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 100000;
	server {
		listen %s;
		root %q;
		location %s { return 204; }
		%s
	}
}
`, user, address, root, markURI, strings.Join(directives, "\n\t\t"))
}

// markURI is requested to know that the log is complete: with one worker, the
// line of an answer that was received whole stands before the line of a
// request that is sent afterwards.
const markURI = "/.nginxtest-mark-"

// mark returns the log after a request of its own has arrived there.
func (s *Server) mark() []byte {
	s.t.Helper()
	uri := markURI + strconv.FormatInt(s.marks.Add(1), 10)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		resp, err := client.Get(s.URL + uri)
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			break
		}
		s.pause(err)
	}
	for {
		log, err := os.ReadFile(filepath.Join(s.prefix, "access.log"))
		if err == nil && bytes.Contains(log, []byte("\t"+uri+"\t")) {
			return log
		}
		s.pause(err)
	}
}

// pause waits a moment, and ends the test when nginx has ended.
func (s *Server) pause(err error) {
	s.t.Helper()
	select {
	case <-s.exited:
		log, _ := os.ReadFile(filepath.Join(s.prefix, "error.log"))
		s.t.Fatalf("nginx ended (%v); its error log:\n%s", err, log)
	case <-time.After(time.Millisecond):
	}
}

// Requests returns the requests answered so far, in the order of their ends.
// Every answer that was received whole before the call is among them.
func (s *Server) Requests() []Request {
	s.t.Helper()
	var requests []Request
	for line := range strings.Lines(string(s.mark())) {
		r, err := parseLine(line)
		if err != nil {
			s.t.Fatalf("read access log: %v", err)
		}
		if !strings.HasPrefix(r.URI, markURI) {
			requests = append(requests, r)
		}
	}
	return requests
}

// Sent returns the bytes sent so far, with headers.
func (s *Server) Sent() (n int64) {
	s.t.Helper()
	for _, r := range s.Requests() {
		n += r.Sent
	}
	return n
}

// parseLine reads a line in the format of the configuration.
func parseLine(line string) (r Request, err error) {
	fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	if len(fields) != 7 {
		return r, fmt.Errorf("line %q: want 7 fields, got %d", line, len(fields))
	}
	r.Method, r.URI = fields[0], fields[1]
	if r.Range = fields[2]; r.Range == "-" {
		r.Range = ""
	}
	numbers := []*int64{new(int64), &r.Sent, &r.Body, &r.Connection}
	for i, to := range numbers {
		if *to, err = strconv.ParseInt(fields[3+i], 10, 64); err != nil {
			return r, fmt.Errorf("line %q: %w", line, err)
		}
	}
	r.Status = int(*numbers[0])
	return r, nil
}
