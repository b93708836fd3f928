package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Out is how a verb speaks: to people, or with --json to programs. It is used
// by one goroutine at a time.
type Out struct {
	stdin          *os.File
	stdout, stderr io.Writer
	json, quiet    bool

	part    string                   // of several that the verb has; "" for one that has none
	explain func(*Out, error) string // of the program
	failed  error                    // the first error of writing results
	phase   string                   // the last one that was told
	bar     *bar                     // nil where progress is not drawn
}

// start is called when the flags are known.
func (o *Out) start() {
	if o.json || o.quiet || os.Getenv("NO_COLOR") != "" || os.Getenv("CI") != "" {
		return
	}
	if f, ok := o.stderr.(*os.File); ok && isTerminal(f) {
		o.bar = newBar(f)
	}
}

// stop takes the progress bar away, for good.
func (o *Out) stop() {
	if o.bar != nil {
		o.bar.close()
		o.bar = nil
	}
}

// Say tells people something on stdout. Programs are not told: what they need
// is in items and the summary.
func (o *Out) Say(format string, args ...any) {
	if !o.json {
		o.line(fmt.Appendf(nil, format, args...))
	}
}

// Item is one of a verb's results: a line for people, or an object of a type
// with the fields of v, which is a struct or map.
func (o *Out) Item(kind string, v any, format string, args ...any) {
	if o.json {
		o.object(kind, v)
		return
	}
	o.Say(format, args...)
}

// Done says how the verb ended: a line for people, and the summary for
// programs. A verb returns what Done returns.
func (o *Out) Done(code Code, v any, format string, args ...any) error {
	o.Say(format, args...)
	return o.End(code, v)
}

// End is Done for a verb that has nothing more to say to people.
func (o *Out) End(code Code, v any) error {
	if o.json {
		b, err := fields(v)
		if err != nil {
			return err
		}
		if o.part != "" {
			o.object("result", json.RawMessage(join(fmt.Appendf(nil, `{"part":%q,"code":%d}`, o.part, code), b)))
		} else {
			o.object("summary", json.RawMessage(join(fmt.Appendf(nil, `{"code":%d}`, code), b)))
		}
	}
	if code == OK {
		return nil
	}
	return &exit{code}
}

// Note is a remark on the way, on stderr, or as an object.
func (o *Out) Note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	switch {
	case o.json:
		o.object("note", map[string]string{"text": text})
	case o.quiet:
	case o.bar != nil:
		o.bar.above(text)
	default:
		fmt.Fprintln(o.stderr, text)
	}
}

// Progress says how much of a phase is done. Where no bar is drawn, programs
// are told the beginning of each phase, and people nothing.
func (o *Out) Progress(phase string, done, total int64) {
	if o.bar != nil {
		o.bar.set(phase, done, total)
	}
	if phase == o.phase {
		return
	}
	o.phase = phase
	if o.json {
		o.object("phase", map[string]string{"phase": phase})
	}
}

// object writes one JSON object: its type, then the fields of v.
func (o *Out) object(kind string, v any) {
	b, err := fields(v)
	if err != nil {
		b = []byte("{}")
		o.failed = err
	}
	o.line(join(fmt.Appendf(nil, `{"type":%q}`, kind), b))
}

// line writes one line of results.
func (o *Out) line(b []byte) {
	o.stop()
	if _, err := o.stdout.Write(append(b, '\n')); err != nil && o.failed == nil {
		o.failed = err
	}
}

// fields returns v as a JSON object.
func fields(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(b, []byte("null")) {
		b = []byte("{}")
	}
	if b[0] != '{' {
		return nil, fmt.Errorf("results of type %T are no object", v)
	}
	return b, nil
}

// join makes one JSON object of two, fields of a first.
func join(a, b []byte) []byte {
	switch {
	case string(b) == "{}":
		return a
	case string(a) == "{}":
		return b
	}
	return append(append(a[:len(a)-1:len(a)-1], ','), b[1:]...)
}
