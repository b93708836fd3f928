package nginxtest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func get(t *testing.T, url, byteRange string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestServesAndCounts(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := Start(t, root)
	if got := s.Requests(); len(got) != 0 {
		t.Fatalf("requests before the first: %v", got)
	}
	if status, body := get(t, s.URL+"/file", ""); status != 200 || body != "0123456789" {
		t.Fatalf("whole file: got %d %q", status, body)
	}
	if status, body := get(t, s.URL+"/file", "bytes=3-5"); status != 206 || body != "345" {
		t.Fatalf("range: got %d %q", status, body)
	}
	if status, _ := get(t, s.URL+"/missing", ""); status != 404 {
		t.Fatalf("missing file: got %d", status)
	}
	requests := s.Requests()
	if len(requests) != 3 {
		t.Fatalf("want 3 requests, got %v", requests)
	}
	want := []Request{
		{Method: "GET", URI: "/file", Status: 200, Body: 10},
		{Method: "GET", URI: "/file", Range: "bytes=3-5", Status: 206, Body: 3},
		{Method: "GET", URI: "/missing", Status: 404, Body: requests[2].Body},
	}
	sum := int64(0)
	for i, got := range requests {
		if got.Sent <= got.Body {
			t.Errorf("request %d: sent %d bytes with headers, body of %d", i, got.Sent, got.Body)
		}
		sum += got.Sent
		got.Sent, got.Connection = 0, 0
		if got != want[i] {
			t.Errorf("request %d: want %+v, got %+v", i, want[i], got)
		}
	}
	if got := s.Sent(); got != sum {
		t.Errorf("sent: want %d, got %d", sum, got)
	}
}

// TestLogIsComplete asks for the log right after each of many answers.
func TestLogIsComplete(t *testing.T) {
	s := Start(t, t.TempDir(), `location /echo { return 200 "hello"; }`)
	for i := range 50 {
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() { get(t, s.URL+fmt.Sprintf("/echo%d", i), "") })
		}
		group.Wait()
		if got := len(s.Requests()); got != 4*(i+1) {
			t.Fatalf("after %d requests the log holds %d", 4*(i+1), got)
		}
	}
}

// TestServersAreSeparate runs two servers at once.
func TestServersAreSeparate(t *testing.T) {
	a := Start(t, t.TempDir(), `location /who { return 200 "a"; }`)
	b := Start(t, t.TempDir(), `location /who { return 200 "b"; }`)
	for _, c := range []struct{ url, want string }{{a.URL, "a"}, {b.URL, "b"}} {
		if _, got := get(t, c.url+"/who", ""); got != c.want {
			t.Errorf("%s: want %q, got %q", c.url, c.want, got)
		}
	}
	if n, m := len(a.Requests()), len(b.Requests()); n != 1 || m != 1 {
		t.Errorf("want one request each, got %d and %d", n, m)
	}
}

func TestParseLine(t *testing.T) {
	for _, line := range []string{"", "GET\t/x\t-\t200\t1\t2", "GET\t/x\t-\t200\t1\tx\t3\n"} {
		if r, err := parseLine(line); err == nil {
			t.Errorf("line %q: want an error, got %+v", line, r)
		}
	}
}
