package manifest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// MaxIndex bounds the bytes of an encoded Index.
const MaxIndex = 1 << 20

// maxReason bounds the reason of a withdrawal, in bytes.
const maxReason = 1000

// Listing is what the signed metadata says of a release, beside the length and
// digest of its stored manifest, so that a client can choose a release without
// fetching anything more.
type Listing struct {
	Product  string   `json:"product"`
	Version  string   `json:"version"`
	Sequence uint64   `json:"sequence"`
	Platform string   `json:"platform"`
	Channels []string `json:"channels"`
	Severity Severity `json:"severity,omitempty"`
	Barrier  bool     `json:"barrier,omitempty"`
	Strict   bool     `json:"strict,omitempty"`

	Essential     bool         `json:"essential,omitempty"`
	CriticalSince string       `json:"critical_since,omitempty"`
	Depends       []Dependency `json:"depends,omitempty"`

	// What may be said of a release after it was published.
	Unstable    bool               `json:"unstable,omitempty"`    // only for those who ask for it
	Recommended []string           `json:"recommended,omitempty"` // channels where it is the one to have
	Rollout     map[string]Rollout `json:"rollout,omitempty"`     // by channel; without one it is for all
	Withdrawn   string             `json:"withdrawn,omitempty"`   // why nobody should install it any more; "" if it stands
	Retreat     bool               `json:"retreat,omitempty"`     // and those who have, go back to the head of their channel

	Size   int64  `json:"size"`   // of the manifest's canonical encoding
	Digest Digest `json:"digest"` // of the manifest's canonical encoding
}

// Rollout says which installs take a release by themselves.
type Rollout struct {
	Percent int  `json:"percent"`          // of installs, 0 to 100
	Halted  bool `json:"halted,omitempty"` // none more for now, whatever Percent says
}

// facts returns those of the release's facts that are listed, in the form of
// the manifest.
func (l *Listing) facts() *Release {
	return &Release{Product: l.Product, Version: l.Version, Sequence: l.Sequence, Platform: l.Platform, Severity: l.Severity,
		CriticalSince: l.CriticalSince, Barrier: l.Barrier, Strict: l.Strict, Essential: l.Essential, Depends: l.Depends}
}

// List returns what is listed of a release's facts: the listing without what
// may change later, and without size and digest.
func (r *Release) List() Listing {
	return Listing{Product: r.Product, Version: r.Version, Sequence: r.Sequence, Platform: r.Platform, Severity: r.Severity,
		CriticalSince: r.CriticalSince, Barrier: r.Barrier, Strict: r.Strict, Essential: r.Essential, Depends: r.Depends}
}

// ParseListing reads and validates the JSON form of a listing, as it stands in
// signed metadata. Fields that it does not know are left to later versions.
func ParseListing(b []byte) (*Listing, error) {
	l := &Listing{}
	if err := json.Unmarshal(b, l); err != nil {
		return nil, fmt.Errorf("parse listing: %w", err)
	}
	var v validator
	v.release(l.facts())
	for _, c := range l.Channels {
		v.check("channels", CheckName(c))
	}
	v.fleet(l)
	if len(l.Withdrawn) > maxReason || strings.ContainsFunc(l.Withdrawn, unicode.IsControl) {
		v.fault("withdrawn", "want at most %d bytes without control characters", maxReason)
	}
	if l.Retreat && l.Withdrawn == "" {
		v.fault("retreat", "from a release that is not withdrawn")
	}
	if l.Size <= 0 || l.Size > MaxCanonical {
		v.fault("size", "%d: want 1 to %d", l.Size, int64(MaxCanonical))
	}
	if l.Digest.IsZero() {
		v.fault("digest", "missing")
	}
	if err := v.err("listing"); err != nil {
		return nil, err
	}
	return l, nil
}

// fleet checks what may be said of a release for its channels.
func (v *validator) fleet(l *Listing) {
	for _, c := range l.Recommended {
		if !slices.Contains(l.Channels, c) {
			v.fault("recommended", "on channel %.80q, which it is not on", c)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(l.Rollout)) {
		if p := l.Rollout[c].Percent; p < 0 || p > 100 {
			v.fault("rollout", "%d %% on %.80q: want 0 to 100", p, c)
		}
		if !slices.Contains(l.Channels, c) {
			v.fault("rollout", "on channel %.80q, which it is not on", c)
		}
	}
}

// A ListingError says that a manifest's own facts are not those it was listed
// with: whoever signed both gave two accounts of one release.
type ListingError struct{ Want, Got string } // JSON

func (e *ListingError) Error() string {
	return fmt.Sprintf("manifest is not the one that was listed: want %s, got %s", e.Want, e.Got)
}

// Check reports whether a manifest's own facts are those of the listing.
func (l *Listing) Check(r *Release) error {
	w, err := l.facts().encode()
	if err != nil {
		return err
	}
	listed := r.List()
	g, err := listed.facts().encode()
	if err != nil {
		return err
	}
	if !bytes.Equal(w, g) {
		return &ListingError{string(w), string(g)}
	}
	return nil
}

// Index says what a repository stores for a release. It is signed, and may be
// replaced later (another pack is made) without touching the manifest.
type Index struct {
	Product  string      `json:"product"`
	Version  string      `json:"version"`
	Platform string      `json:"platform"`
	Packs    []Pack      `json:"packs,omitempty"`
	Objects  ObjectsFile `json:"objects"`
}

// Pack says where the deltas from one release are.
type Pack struct {
	From       string `json:"from"`        // version of the old release
	FromDigest Digest `json:"from_digest"` // of the old manifest's canonical encoding
	Name       string `json:"name"`        // in the repository
	Size       int64  `json:"size"`        // of the whole pack
	HeadSize   int64  `json:"head_size"`   // of its head, which authenticates the rest
	HeadDigest Digest `json:"head_digest"` //
}

// ObjectsFile identifies an encoded [Objects] listing.
type ObjectsFile struct {
	Size   int64  `json:"size"`
	Digest Digest `json:"digest"`
}

// Encode validates x and returns it as compact JSON, the form that is signed.
func (x *Index) Encode() ([]byte, error) {
	if err := x.validate(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(x)
	if err != nil {
		return nil, fmt.Errorf("encode index: %w", err)
	}
	if len(b) > MaxIndex {
		return nil, fmt.Errorf("encode index: %d bytes, at most %d", len(b), MaxIndex)
	}
	return b, nil
}

// ParseIndex reads exactly what [Index.Encode] writes.
func ParseIndex(b []byte) (*Index, error) {
	x := &Index{}
	if len(b) > MaxIndex {
		return nil, fmt.Errorf("parse index: %d bytes, at most %d", len(b), MaxIndex)
	}
	if err := json.Unmarshal(b, x); err != nil {
		return nil, fmt.Errorf("parse index: %w", err)
	}
	again, err := x.Encode()
	if err != nil {
		return nil, err
	}
	// Unknown, repeated and oddly spelled fields all show as a difference.
	if !bytes.Equal(again, b) {
		return nil, fmt.Errorf("parse index: not in canonical form")
	}
	return x, nil
}

func (x *Index) validate() error {
	var v validator
	v.check("product", CheckName(x.Product))
	v.check("version", CheckVersion(x.Version))
	v.check("platform", CheckPlatform(x.Platform))
	for _, p := range x.Packs {
		v.check("pack from "+p.From, CheckVersion(p.From))
		v.check("pack from "+p.From, CheckPath(p.Name))
		if p.HeadSize <= 0 || p.Size < p.HeadSize || p.Size > MaxFileSize {
			v.fault("pack from "+p.From, "sizes %d and %d are out of range", p.HeadSize, p.Size)
		}
	}
	if x.Objects.Size < 0 || x.Objects.Size > MaxObjects {
		v.fault("objects", "size %d is out of range", x.Objects.Size)
	}
	return v.err("index")
}

// Object says how a file's full content is stored: how many bytes, and their
// digest. Content that does not compress is stored as it is, and then both are
// the content's own.
type Object struct {
	Size   int64
	Digest Digest
}

// Objects maps the digest of a file's content to how it is stored.
type Objects map[Digest]Object

// MaxObjects bounds the bytes of an encoded Objects listing.
const MaxObjects = MaxEntries * (binary.MaxVarintLen64 + 32)

// contents returns the distinct contents of m's files in order of digests, and
// their sizes.
func (m *Manifest) contents() ([]Digest, map[Digest]int64) {
	sizes := make(map[Digest]int64, len(m.Entries))
	order := make([]Digest, 0, len(m.Entries))
	for i := range m.Entries {
		e := &m.Entries[i]
		if _, seen := sizes[e.Digest]; e.Kind == File && !seen {
			sizes[e.Digest] = e.Size
			order = append(order, e.Digest)
		}
	}
	slices.SortFunc(order, func(a, b Digest) int { return bytes.Compare(a[:], b[:]) })
	return order, sizes
}

// EncodeObjects returns the listing for all files of m: for each distinct
// content in order of digests its stored size as a varint and its stored
// digest, or just a zero where the content is stored as it is.
func EncodeObjects(m *Manifest, objects Objects) ([]byte, error) {
	order, sizes := m.contents()
	b := make([]byte, 0, len(order)*36)
	for _, d := range order {
		o, ok := objects[d]
		switch {
		case !ok:
			return nil, fmt.Errorf("encode objects: none for content %v", d)
		case o == Object{sizes[d], d}:
			b = append(b, 0)
		case o.Size <= 0 || o.Size > MaxFileSize:
			return nil, fmt.Errorf("encode objects: content %v has stored size %d, want 1 to %d", d, o.Size, int64(MaxFileSize))
		default:
			b = binary.AppendUvarint(b, uint64(o.Size))
			b = append(b, o.Digest[:]...)
		}
	}
	return b, nil
}

// ParseObjects reads exactly what [EncodeObjects] writes for m.
func ParseObjects(m *Manifest, b []byte) (Objects, error) {
	order, sizes := m.contents()
	objects := make(Objects, len(order))
	for _, d := range order {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > MaxFileSize || used > 1 && b[used-1] == 0 {
			return nil, fmt.Errorf("parse objects: bad size for content %v", d)
		}
		b = b[used:]
		if n == 0 {
			objects[d] = Object{sizes[d], d}
			continue
		}
		if len(b) < len(d) {
			return nil, fmt.Errorf("parse objects: cut off at content %v", d)
		}
		o := Object{int64(n), Digest(b[:len(d)])}
		if o == (Object{sizes[d], d}) {
			return nil, fmt.Errorf("parse objects: content %v is stored as it is, but written at length", d)
		}
		objects[d] = o
		b = b[len(d):]
	}
	if len(b) != 0 {
		return nil, fmt.Errorf("parse objects: %d bytes too many", len(b))
	}
	return objects, nil
}
