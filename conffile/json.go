package conffile

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
)

// member is one of an object, in the order of the text.
type member struct {
	name  string
	value []byte // compact
}

// mergeJSON merges objects member by member.
func mergeJSON(from, to, user []byte) ([]byte, []Conflict, bool) {
	o, ok1 := parseObject(from)
	n, ok2 := parseObject(to)
	u, ok3 := parseObject(user)
	if !ok1 || !ok2 || !ok3 {
		return nil, nil, false
	}
	j := &jsonMerger{}
	merged := j.object("", o, n, u)
	if same(merged, u) {
		return user, j.conflicts, true // with the user's formatting
	}
	var b bytes.Buffer
	if json.Indent(&b, encode(merged), "", "  ") != nil {
		return nil, nil, false
	}
	b.WriteByte('\n')
	return b.Bytes(), j.conflicts, true
}

type jsonMerger struct{ conflicts []Conflict }

// object merges the members of one object. The user's come first, in their order.
func (j *jsonMerger) object(path string, o, n, u []member) (merged []member) {
	for _, m := range u {
		if value := j.value(path+m.name, get(o, m.name), get(n, m.name), m.value); value != nil {
			merged = append(merged, member{m.name, value})
		}
	}
	for _, m := range n {
		if get(u, m.name) == nil && get(o, m.name) == nil {
			merged = append(merged, m)
		}
	}
	return merged
}

// value decides on a member of the user. Nil means that it goes.
func (j *jsonMerger) value(path string, o, n, u []byte) []byte {
	switch {
	case n == nil && bytes.Equal(o, u):
		return nil
	case n == nil || bytes.Equal(n, u):
		return u
	case bytes.Equal(o, u):
		return n
	case bytes.Equal(o, n):
		return u
	}
	no, isNew := parseObject(n)
	uo, isUser := parseObject(u)
	if isNew && isUser {
		oo, _ := parseObject(o) // none is an empty one
		return encode(j.object(path+".", oo, no, uo))
	}
	j.conflicts = append(j.conflicts, Conflict{path, string(u), string(n)})
	return u
}

func get(all []member, name string) []byte {
	for _, m := range all {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

func same(a, b []member) bool {
	return slices.EqualFunc(a, b, func(x, y member) bool { return x.name == y.name && bytes.Equal(x.value, y.value) })
}

func encode(all []member) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(m.name))
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return []byte(`""`) // a string can be encoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// parseObject reads one object whose names are all different. Values are compact,
// so that formatting makes no difference.
func parseObject(text []byte) ([]member, bool) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	all := []member{}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok || seen[name] || strings.ContainsRune(name, '\uFFFD') {
			return nil, false
		}
		seen[name] = true
		var raw json.RawMessage
		var compact bytes.Buffer
		if dec.Decode(&raw) != nil || json.Compact(&compact, raw) != nil {
			return nil, false
		}
		all = append(all, member{name, compact.Bytes()})
	}
	if _, err := dec.Token(); err != nil {
		return nil, false
	}
	_, err := dec.Token()
	return all, errors.Is(err, io.EOF)
}
