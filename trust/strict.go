package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Bounds on what is fetched and parsed. A product with 1,000 releases for five
// platforms signs about 4 MB.
const (
	maxTimestamp = 16 << 10
	maxRoot      = 512 << 10
	maxSnapshot  = 2 << 20
	maxTargets   = 16 << 20

	maxDepth      = 32
	maxNumber     = 1<<53 - 1 // beyond it a float64, which go-tuf uses, loses digits
	maxSignatures = 64
	maxName       = 512 // of a target, bytes
	maxFaults     = 20  // reported of one file
)

// Names of products become parts of file names, and of patterns in which "*"
// and "[" have a meaning.
var productPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$`)

var targetPattern = regexp.MustCompile(`^[A-Za-z0-9._+~@=,/-]+$`)

// faults collects what is wrong with a file.
type faults []error

func (f *faults) add(format string, args ...any) {
	if len(*f) < maxFaults {
		*f = append(*f, fmt.Errorf(format, args...))
	}
}

// parse reads metadata that nobody has vouched for yet. Whatever it returns is
// safe to hand to go-tuf: nothing is missing that go-tuf would look into.
func parse[T metadata.Roles](file, role string, b []byte, max int) (*metadata.Metadata[T], error) {
	return parseAs[T](ours, file, role, b, max)
}

func parseAs[T metadata.Roles](d dialect, file, role string, b []byte, max int) (*metadata.Metadata[T], error) {
	if len(b) > max {
		return nil, &FormatError{file, fmt.Errorf("%d bytes, want at most %d", len(b), max)}
	}
	if err := d.scanJSON(b); err != nil {
		return nil, &FormatError{file, err}
	}
	m, err := unmarshal[T](b)
	if err != nil {
		return nil, &FormatError{file, err}
	}
	var f faults
	switch signed := any(&m.Signed).(type) {
	case *metadata.RootType:
		d.checkRoot(&f, signed)
	case *metadata.TimestampType:
		d.checkTimestamp(&f, signed)
	case *metadata.SnapshotType:
		d.checkSnapshot(&f, signed)
	case *metadata.TargetsType:
		d.checkTargets(&f, role, signed)
	}
	if len(f) > 0 {
		return nil, &FormatError{file, errors.Join(f...)}
	}
	return m, nil
}

// unmarshal does what FromBytes of go-tuf does, but decodes once what that decodes
// three times: a product with 1,000 releases has 450 KB. What stands beside
// signatures and signed is dropped, since nobody signs it.
func unmarshal[T metadata.Roles](b []byte) (*metadata.Metadata[T], error) {
	var doc struct {
		Signatures []metadata.Signature `json:"signatures"`
		Signed     T                    `json:"signed"`
	}
	if err := guard(func() error { return json.Unmarshal(b, &doc) }); err != nil {
		return nil, err
	}
	if err := checkSignatures(doc.Signatures); err != nil {
		return nil, err
	}
	if err := checkHead(&doc.Signed); err != nil {
		return nil, err
	}
	return &metadata.Metadata[T]{Signed: doc.Signed, Signatures: doc.Signatures}, nil
}

// guard turns a panic inside go-tuf into an error. The checks of this file leave
// it nothing to panic about that we know of: this is the last belt.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

// scanJSON reports whether b is one JSON value in which all readers see the same.
// Go's decoder takes names in any case and the last of two equal ones, others
// take the first; null makes nil pointers; large numbers lose digits.
func (d dialect) scanJSON(b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var open []level
	for {
		token, err := dec.Token()
		if err == io.EOF && len(open) == 0 && dec.InputOffset() > 0 {
			return nil
		}
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if open, err = d.scanToken(open, token); err != nil {
			return fmt.Errorf("at byte %d: %w", dec.InputOffset(), err)
		}
	}
}

// level is an object or array that is being scanned.
type level struct {
	names   map[string]bool // of an object so far; nil in an array
	inValue bool            // the next token begins the value of a name
}

func (d dialect) scanToken(open []level, token json.Token) ([]level, error) {
	var in *level
	if len(open) > 0 {
		in = &open[len(open)-1]
	}
	if name, ok := token.(string); ok && in != nil && in.names != nil && !in.inValue {
		if in.names[name] {
			return nil, fmt.Errorf("name %.80q twice", name)
		}
		in.names[name], in.inValue = true, true
		return open, d.checkJSONName(name)
	}
	if token != json.Delim('}') && token != json.Delim(']') && in != nil {
		in.inValue = false
	}
	switch v := token.(type) {
	case nil:
		return nil, errors.New("null")
	case json.Number:
		if n, err := strconv.ParseUint(v.String(), 10, 64); err != nil || n > maxNumber {
			return nil, fmt.Errorf("number %.40s, want a whole one of at most %d", v, int64(maxNumber))
		}
	case json.Delim:
		switch {
		case v == '}' || v == ']':
			return open[:len(open)-1], nil
		case len(open) == maxDepth:
			return nil, fmt.Errorf("more than %d levels", maxDepth)
		case v == '{':
			return append(open, level{names: map[string]bool{}}), nil
		default:
			return append(open, level{}), nil
		}
	}
	return open, nil
}

// checkJSONName keeps every name but paths of targets in lower case, so that
// none can pass for another.
func (d dialect) checkJSONName(name string) error {
	if d == foreign {
		return nil
	}
	for i := range len(name) {
		c := name[i]
		lower := 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.'
		if !lower && !strings.Contains(name, "/") {
			return fmt.Errorf("name %.80q, want only a-z 0-9 . _ -", name)
		}
	}
	return nil
}

func checkSignatures(all []metadata.Signature) error {
	if n := len(all); all == nil || n > maxSignatures {
		return fmt.Errorf("%d signatures, want a list of at most %d", n, maxSignatures)
	}
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.KeyID] {
			return fmt.Errorf("two signatures by key id %.80q", s.KeyID)
		}
		seen[s.KeyID] = true
	}
	return nil
}

// checkHead looks at what all metadata has in common.
func checkHead(signed any) error {
	var is, want, spec string
	var version int64
	var expires time.Time
	switch s := signed.(type) {
	case *metadata.RootType:
		is, want, spec, version, expires = s.Type, metadata.ROOT, s.SpecVersion, s.Version, s.Expires
	case *metadata.TimestampType:
		is, want, spec, version, expires = s.Type, metadata.TIMESTAMP, s.SpecVersion, s.Version, s.Expires
	case *metadata.SnapshotType:
		is, want, spec, version, expires = s.Type, metadata.SNAPSHOT, s.SpecVersion, s.Version, s.Expires
	case *metadata.TargetsType:
		is, want, spec, version, expires = s.Type, metadata.TARGETS, s.SpecVersion, s.Version, s.Expires
	}
	var f faults
	if is != want {
		f.add("type %.20q, want %s", is, want)
	}
	if !strings.HasPrefix(spec, "1.") {
		f.add("spec_version %.20q, want 1.x", spec)
	}
	if version < 1 {
		f.add("version %d, want at least 1", version)
	}
	if expires.IsZero() {
		f.add("no date of expiry")
	}
	return errors.Join(f...)
}

func (d dialect) checkRoot(f *faults, root *metadata.RootType) {
	if !root.ConsistentSnapshot && d != foreign {
		f.add("consistent_snapshot is false")
	}
	for _, name := range metadata.TOP_LEVEL_ROLE_NAMES {
		role := root.Roles[name]
		if role == nil {
			f.add("role %s is missing", name)
			continue
		}
		d.checkRole(f, name, role.KeyIDs, role.Threshold, root.Keys)
	}
}

func (d dialect) checkRole(f *faults, name string, ids []string, threshold int, keys map[string]*metadata.Key) {
	if d == foreign {
		return // what nobody can sign, nobody signs
	}
	if threshold < 1 || threshold > len(ids) {
		f.add("role %s: threshold %d with %d keys", name, threshold, len(ids))
	}
	for _, id := range ids {
		if keys[id] == nil {
			f.add("role %s: key %.80q is not listed", name, id)
		}
	}
}

func (d dialect) checkTimestamp(f *faults, timestamp *metadata.TimestampType) {
	if m := timestamp.Meta["snapshot.json"]; m == nil || len(timestamp.Meta) != 1 && d != foreign {
		f.add("want snapshot.json and nothing else in meta")
	} else {
		d.checkMeta(f, "snapshot.json", m, maxSnapshot)
	}
}

func (d dialect) checkSnapshot(f *faults, snapshot *metadata.SnapshotType) {
	if snapshot.Meta["targets.json"] == nil {
		f.add("targets.json is missing from meta")
	}
	for name, m := range snapshot.Meta {
		if role, ok := strings.CutSuffix(name, ".json"); !ok || role != metadata.TARGETS && d.checkRoleName(role) != nil {
			f.add("meta of %.80q, want targets or a product", name)
		}
		d.checkMeta(f, name, m, maxTargets)
	}
}

func (d dialect) checkMeta(f *faults, name string, m *metadata.MetaFiles, max int64) {
	if m.Version < 1 {
		f.add("%s: version %d, want at least 1", name, m.Version)
	}
	least := int64(1)
	if d == foreign {
		least = 0 // not said
	}
	if m.Length < least || m.Length > max {
		f.add("%s: length %d, want %d to %d", name, m.Length, least, max)
	}
	if d == foreign && len(m.Hashes) == 0 {
		return
	}
	d.checkHashes(f, name, m.Hashes)
}

func (d dialect) checkHashes(f *faults, name string, h metadata.Hashes) {
	if sum := h["sha512"]; d == foreign && h["sha256"] == nil && len(sum) == 64 {
		return
	}
	if len(h["sha256"]) != 32 {
		f.add("%s: want a SHA-256 of 32 bytes, got %d", name, len(h["sha256"]))
	}
}

func (d dialect) checkTargets(f *faults, role string, targets *metadata.TargetsType) {
	if targets.Targets == nil {
		f.add("targets are missing")
	}
	for name, t := range targets.Targets {
		d.checkTarget(f, name, t)
	}
	if targets.Delegations != nil && (role == metadata.TARGETS || d == foreign) {
		d.checkDelegations(f, targets.Delegations)
	} else if targets.Delegations != nil {
		f.add("a product cannot delegate")
	}
}

func (d dialect) checkDelegations(f *faults, all *metadata.Delegations) {
	if all.SuccinctRoles != nil && d != foreign {
		f.add("succinct_roles are not supported")
	}
	if all.Keys == nil {
		f.add("delegations: keys are missing")
	}
	seen := map[string]bool{}
	for _, role := range all.Roles {
		if err := d.checkRoleName(role.Name); err != nil {
			f.add("delegation: %w", err)
		}
		if seen[role.Name] {
			f.add("delegation to %.80q twice", role.Name)
		}
		seen[role.Name] = true
		if (len(role.Paths) == 0 || len(role.PathHashPrefixes) > 0) && d != foreign {
			f.add("delegation to %.80q: want paths and no path_hash_prefixes", role.Name)
		}
		d.checkRole(f, role.Name, role.KeyIDs, role.Threshold, all.Keys)
	}
}

func checkProduct(name string) error {
	if !productPattern.MatchString(name) {
		return fmt.Errorf("product %.80q: want 1 to 64 of a-z 0-9 . _ - with a letter or digit at both ends", name)
	}
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		if name == role {
			return fmt.Errorf("product %q: the name is reserved", name)
		}
	}
	return nil
}

func checkTargetName(f *faults, name string) {
	if len(name) > maxName || !fs.ValidPath(name) || name == "." || !targetPattern.MatchString(name) {
		f.add("target %.80q: want a relative slash path of at most %d of A-Z a-z 0-9 . _ + ~ @ = , -", name, maxName)
	}
}
