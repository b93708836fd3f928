package store

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A part is what an answer says about the bytes in its body.
type part struct {
	start, end int64  // of the file; an end of -1 is not known
	total      int64  // size of the file, -1 when not known
	validator  string // strong, or ""
}

// readPart reads the headers of an answer with status 200, 206 or 416.
func readPart(resp *http.Response) (part, error) {
	p := part{end: resp.ContentLength, total: resp.ContentLength, validator: strongValidator(resp.Header)}
	switch resp.StatusCode {
	case http.StatusRequestedRangeNotSatisfiable:
		p.total = unsatisfiedTotal(resp.Header.Get("Content-Range"))
		return p, nil
	case http.StatusPartialContent:
		var err error
		if p.start, p.end, p.total, err = parseContentRange(resp.Header.Get("Content-Range")); err != nil {
			return part{}, err
		}
		if got, want := resp.ContentLength, p.end-p.start; got >= 0 && got != want && resp.Request.Method != http.MethodHead {
			return part{}, fmt.Errorf("read content length: want %d bytes as in the content range, got %d", want, got)
		}
	}
	// Bytes that were encoded on their way are not those that were published.
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return part{}, fmt.Errorf("read content encoding: want none, got %.40q", e)
	}
	return p, nil
}

// parseContentRange reads the Content-Range of a 206 answer (RFC 9110, section
// 14.4): bytes first-last/total, where total may be *, for unknown. The end it
// returns is the byte after the last, the total -1 when unknown.
func parseContentRange(s string) (start, end, total int64, err error) {
	fault := fmt.Errorf("read content range: want bytes first-last/total, got %.80q", s)
	unit, rest, _ := strings.Cut(s, " ")
	span, size, ok := strings.Cut(rest, "/")
	first, last, ok2 := strings.Cut(span, "-")
	if !strings.EqualFold(unit, "bytes") || !ok || !ok2 {
		return 0, 0, 0, fault
	}
	start, ok = parseCount(first)
	end, ok2 = parseCount(last)
	total = -1
	if size != "*" {
		var ok3 bool
		total, ok3 = parseCount(size)
		ok2 = ok2 && ok3 && end < total
	}
	if !ok || !ok2 || end < start {
		return 0, 0, 0, fault
	}
	return start, end + 1, total, nil
}

// unsatisfiedTotal reads the Content-Range of a 416 answer: bytes */total.
func unsatisfiedTotal(s string) int64 {
	unit, size, _ := strings.Cut(s, " */")
	if total, ok := parseCount(size); ok && strings.EqualFold(unit, "bytes") {
		return total
	}
	return -1
}

// parseCount reads a number of bytes: digits only, and small enough that one
// may be added.
func parseCount(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 62)
	return int64(n), err == nil && s[0] != '+'
}

// strongValidator returns the value for If-Range that names the version of an
// answer, or "" when it has none that is allowed there (RFC 9110, 13.1.5): a
// weak entity tag is not, and a date only without any tag and when it is
// strong, which takes an answer at least one second younger (8.8.2.2).
func strongValidator(h http.Header) string {
	if tag := h.Get("Etag"); tag != "" {
		if len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"' {
			return tag
		}
		return ""
	}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return ""
	}
	answered, err := http.ParseTime(h.Get("Date"))
	if err != nil || answered.Sub(modified) < time.Second {
		return ""
	}
	return h.Get("Last-Modified")
}
