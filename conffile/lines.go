package conffile

import (
	"slices"
	"strings"
)

// setting is a line of a file of settings that has a name.
type setting struct {
	section, key, value string
	at                  int // index of its line
	lead                int // of the first comment before it, or at
}

// name identifies a setting.
func (s *setting) name() string { return s.section + "\x00" + s.key }

// told is the name for people.
func (s *setting) told() string {
	if s.section == "" {
		return s.key
	}
	return s.section + "." + s.key
}

// lines is a file of settings, one a line.
type lines struct {
	raw      []string // with their ends
	settings []setting
	headers  map[string]int // index of the line that begins a section
	order    []string       // of sections
}

func (l *lines) find(name string) *setting {
	i := slices.IndexFunc(l.settings, func(s setting) bool { return s.name() == name })
	if i < 0 {
		return nil
	}
	return &l.settings[i]
}

// end returns the index after the last setting of a section, or after its header.
func (l *lines) end(section string) int {
	end, ok := l.headers[section]
	if ok {
		end++
	}
	for i := range l.settings {
		if l.settings[i].section == section {
			end = l.settings[i].at + 1
		}
	}
	return end
}

// parseLines reads settings. It refuses what it does not surely understand:
// indented lines, values over several lines, a key twice.
func parseLines(text []byte) (*lines, bool) {
	l := &lines{headers: map[string]int{}}
	section, lead := "", 0
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		at := len(l.raw)
		l.raw = append(l.raw, line)
		body := strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(body)
		switch {
		case trimmed == "":
			lead = at + 1
		case trimmed[0] == '#' || trimmed[0] == ';':
		case body != strings.TrimLeft(body, " \t\v\f"):
			return nil, false // it belongs to something above
		case trimmed[0] == '[':
			name := strings.TrimSuffix(trimmed[1:], "]")
			if _, twice := l.headers[name]; twice || name == "" || strings.ContainsAny(name, "[]#;\x00") || !strings.HasSuffix(trimmed, "]") {
				return nil, false
			}
			section, lead = name, at+1
			l.headers[name] = at
			l.order = append(l.order, name)
		default:
			key, value, ok := cutSetting(body)
			s := setting{section, key, value, at, lead}
			if !ok || seen[s.name()] {
				return nil, false
			}
			seen[s.name()] = true
			l.settings = append(l.settings, s)
			lead = at + 1
		}
	}
	return l, true
}

// cutSetting takes a line apart: KEY=VALUE, KEY: VALUE.
func cutSetting(body string) (key, value string, ok bool) {
	i := strings.IndexAny(body, "=:")
	if i <= 0 {
		return "", "", false
	}
	key, value = strings.TrimSpace(body[:i]), strings.TrimSpace(body[i+1:])
	if strings.ContainsAny(key, "\"'{}[]()<>$`\\\x00") || strings.HasPrefix(key, "-") {
		return "", "", false
	}
	if openEnded(value) || body[i] == ':' && value == "" { // what a nested mapping begins with
		return "", "", false
	}
	return key, value, true
}

// openEnded reports whether a value may go on in the next line.
func openEnded(v string) bool {
	return strings.HasSuffix(v, `\`) || strings.Contains(v, `"""`) || strings.Contains(v, `'''`) ||
		v == "|" || v == ">" || strings.HasPrefix(v, "|-") || strings.HasPrefix(v, ">-") ||
		strings.Count(v, `"`)%2 != 0 || strings.Count(v, "[") != strings.Count(v, "]") ||
		strings.Count(v, "{") != strings.Count(v, "}") || strings.Contains(v, "<<")
}

func mergeLines(from, to, user []byte) ([]byte, []Conflict, bool) {
	o, ok1 := parseLines(from)
	n, ok2 := parseLines(to)
	u, ok3 := parseLines(user)
	if !ok1 || !ok2 || !ok3 {
		return nil, nil, false
	}
	m := &merger{o: o, n: n, u: u, end: "\n", put: make([]string, len(u.raw)), after: make([]string, len(u.raw)+1)}
	if strings.Contains(string(user), "\r\n") {
		m.end = "\r\n"
	}
	copy(m.put, u.raw)
	for i := range u.settings {
		m.settle(&u.settings[i])
	}
	m.add("")
	for _, section := range n.order {
		m.add(section)
	}
	return m.text(), m.conflicts, true
}

// merger changes the user's lines.
type merger struct {
	o, n, u   *lines
	end       string   // of a line
	put       []string // in place of each line
	after     []string // before the line of that index: what is new
	fresh     []string // new sections
	conflicts []Conflict
}

// settle decides on a setting of the user: the new value where the user had left
// the old one, and else the user's.
func (m *merger) settle(s *setting) {
	o, n := m.o.find(s.name()), m.n.find(s.name())
	untouched := o != nil && o.value == s.value
	switch {
	case n == nil && untouched:
		m.put[s.at] = "" // it is gone
	case n == nil || n.value == s.value:
	case untouched:
		m.put[s.at] = m.line(m.n.raw[n.at])
	case o == nil || o.value != n.value:
		m.conflicts = append(m.conflicts, Conflict{s.told(), s.value, n.value})
	}
}

// add adds what the new release has in a section and the old one had not. What the
// user took out stays out.
func (m *merger) add(section string) {
	var b strings.Builder
	for i := range m.n.settings {
		s := &m.n.settings[i]
		if s.section != section || m.u.find(s.name()) != nil || m.o.find(s.name()) != nil {
			continue
		}
		for _, line := range m.n.raw[s.lead : s.at+1] {
			b.WriteString(m.line(line))
		}
	}
	if b.Len() == 0 {
		return
	}
	if _, has := m.u.headers[section]; has || section == "" {
		m.after[m.u.end(section)] += b.String()
		return
	}
	m.fresh = append(m.fresh, m.end+m.line(m.n.raw[m.n.headers[section]])+b.String())
}

// line gives a line of another file the end that lines of the user's have.
func (m *merger) line(s string) string { return strings.TrimRight(s, "\r\n") + m.end }

func (m *merger) text() []byte {
	var b []byte
	write := func(s string) {
		if s == "" {
			return
		}
		if len(b) > 0 && b[len(b)-1] != '\n' {
			b = append(b, m.end...)
		}
		b = append(b, s...)
	}
	for i, line := range m.put {
		write(m.after[i])
		write(line)
	}
	write(m.after[len(m.put)])
	for _, s := range m.fresh {
		write(s)
	}
	return b
}
