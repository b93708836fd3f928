package trust

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// maxProposal bounds the bytes of a proposal.
const maxProposal = 64 << 20

// proposal is metadata on its way to those who have the keys, as JSON. It is
// made by Propose, goes through Countersign as often as there are people, and
// ends in Adopt. Nothing in it is believed but signatures.
type proposal struct {
	Format int             `json:"treegraft_proposal"` // 1
	Files  []*proposedFile `json:"files"`
}

type proposedFile struct {
	Role     string          `json:"role"`
	Wants    []wants         `json:"wants"` // for people, and to choose who signs
	Metadata json.RawMessage `json:"metadata"`
}

// wants is a quorum: so many of these keys.
type wants struct {
	Threshold int      `json:"threshold"`
	Keys      []string `json:"keys"`
}

// A Pending file is one of a proposal, as it is shown to who is asked to sign.
type Pending struct {
	Role    string
	Version int64
	Expires time.Time
	SHA256  string   // of what is signed: the same for all who sign the same
	Roles   []string // what a root or targets says: "root: 2 of the keys a…, b…"
	Signed  []string // ids of the keys that have signed
	Missing int      // signatures still to come
}

// Propose returns what Commit would sign of root, targets and products, signed
// with the keys at hand, in a form that others can add their signatures to. The
// Editor stays as it is.
func (e *Editor) Propose(ctx context.Context) ([]byte, error) {
	c := e.begin()
	p := proposal{Format: 1}
	for _, d := range c.drafts() {
		b, err := d.seal(ctx, false)
		if err != nil {
			return nil, err
		}
		f := &proposedFile{Role: d.role, Metadata: b}
		for _, q := range d.quorums {
			f.Wants = append(f.Wants, wants{q.threshold, q.ids})
		}
		p.Files = append(p.Files, f)
	}
	if len(p.Files) == 0 {
		return nil, errors.New("propose: nothing has changed")
	}
	return json.MarshalIndent(p, "", " ")
}

// Countersign adds signatures to a proposal, by those of the keys that it asks
// for, and tells what is in it. Without keys it only tells. Who signs should
// compare what is told with what they were asked for, by another way than the
// one the proposal came.
func Countersign(ctx context.Context, b []byte, signers ...Signer) (signed []byte, files []Pending, err error) {
	p, err := parseProposal(b)
	if err != nil {
		return nil, nil, err
	}
	var keys []held
	for _, s := range signers {
		h, err := hold(ctx, s)
		if err != nil {
			return nil, nil, err
		}
		keys = append(keys, h)
	}
	for _, f := range p.Files {
		pending, err := f.countersign(ctx, keys)
		if err != nil {
			return nil, nil, fmt.Errorf("proposal: %s: %w", f.Role, err)
		}
		files = append(files, pending)
	}
	signed, err = json.MarshalIndent(p, "", " ")
	return signed, files, err
}

func parseProposal(b []byte) (*proposal, error) {
	if len(b) > maxProposal {
		return nil, fmt.Errorf("read proposal: %d bytes, want at most %d", len(b), maxProposal)
	}
	var p proposal
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("read proposal: %w", err)
	}
	if p.Format != 1 {
		return nil, fmt.Errorf("read proposal: format %d, want 1", p.Format)
	}
	for _, f := range p.Files {
		if f == nil {
			return nil, errors.New("read proposal: an empty file")
		}
	}
	return &p, nil
}

// countersign works on any role: only root and targets have more to tell.
func (f *proposedFile) countersign(ctx context.Context, keys []held) (Pending, error) {
	switch f.Role {
	case metadata.ROOT:
		return countersign[metadata.RootType](ctx, f, keys, maxRoot)
	case metadata.TIMESTAMP, metadata.SNAPSHOT:
		return Pending{}, errors.New("not a role of proposals")
	}
	return countersign[metadata.TargetsType](ctx, f, keys, maxTargets)
}

func countersign[T metadata.Roles](ctx context.Context, f *proposedFile, keys []held, max int) (Pending, error) {
	m, err := parse[T]("metadata/"+f.Role+".json", f.Role, f.Metadata, max)
	if err != nil {
		return Pending{}, err
	}
	for _, k := range keys {
		asked := slices.ContainsFunc(f.Wants, func(w wants) bool { return slices.Contains(w.Keys, k.id) })
		if !asked || hasSigned(m.Signatures, k.id) {
			continue
		}
		s, err := k.sign(ctx, m.Signed)
		if err != nil {
			return Pending{}, err
		}
		m.Signatures = append(m.Signatures, s)
	}
	if f.Metadata, err = m.ToBytes(false); err != nil {
		return Pending{}, err
	}
	payload, err := cjson.EncodeCanonical(m.Signed)
	if err != nil {
		return Pending{}, err
	}
	sum := sha256.Sum256(payload)
	p := Pending{Role: f.Role, SHA256: hex.EncodeToString(sum[:]), Missing: f.missing(m.Signatures)}
	p.describe(any(&m.Signed))
	for _, s := range m.Signatures {
		p.Signed = append(p.Signed, s.KeyID)
	}
	return p, nil
}

func hasSigned(sigs []metadata.Signature, id string) bool {
	return slices.ContainsFunc(sigs, func(s metadata.Signature) bool { return s.KeyID == id })
}

// missing counts by ids, without verifying anything.
func (f *proposedFile) missing(sigs []metadata.Signature) (n int) {
	for _, w := range f.Wants {
		have := 0
		for _, id := range w.Keys {
			if hasSigned(sigs, id) {
				have++
			}
		}
		n = max(n, w.Threshold-have)
	}
	return n
}

func (p *Pending) describe(signed any) {
	tell := func(role string, ids []string, threshold int) {
		p.Roles = append(p.Roles, fmt.Sprintf("%s: %d of the keys %s", role, threshold, strings.Join(ids, ", ")))
	}
	switch s := signed.(type) {
	case *metadata.RootType:
		p.Version, p.Expires = s.Version, s.Expires
		for _, name := range metadata.TOP_LEVEL_ROLE_NAMES {
			tell(name, s.Roles[name].KeyIDs, s.Roles[name].Threshold)
		}
	case *metadata.TargetsType:
		p.Version, p.Expires = s.Version, s.Expires
		if s.Delegations != nil {
			for _, r := range s.Delegations.Roles {
				tell(r.Name, r.KeyIDs, r.Threshold)
			}
		}
		if n := len(s.Targets); n > 0 {
			p.Roles = append(p.Roles, fmt.Sprintf("%d targets", n))
		}
	}
	slices.Sort(p.Roles)
}

// Adopt takes a proposal into the Editor: Commit then signs the rest. Several
// copies, each with the signatures of some, may be adopted one after the other.
// What is proposed must be the next version of what the Editor has.
func (e *Editor) Adopt(b []byte) error {
	next := *e
	next.products, next.changed, next.adopted = maps.Clone(e.products), maps.Clone(e.changed), maps.Clone(e.adopted)
	if err := next.adopt(b); err != nil {
		return err
	}
	*e = next
	return nil
}

func (e *Editor) adopt(b []byte) error {
	p, err := parseProposal(b)
	if err != nil {
		return err
	}
	for _, f := range p.Files {
		var err error
		switch {
		case f.Role == metadata.ROOT:
			err = adopt(e, f, maxRoot, &e.root, func(m *rootMeta) int64 { return m.Signed.Version })
		case f.Role == metadata.TARGETS:
			err = adopt(e, f, maxTargets, &e.targets, versionOf)
		case checkProduct(f.Role) != nil:
			err = checkProduct(f.Role)
		default:
			m := cmp.Or(e.products[f.Role], newTargets())
			err = adopt(e, f, maxTargets, &m, versionOf)
			e.products[f.Role] = m
		}
		if err != nil {
			return fmt.Errorf("adopt proposal: %s: %w", f.Role, err)
		}
	}
	for _, name := range e.Products() {
		if err := e.checkDelegated(name); err != nil {
			return fmt.Errorf("adopt proposal: %s: %w", name, err)
		}
	}
	return nil
}

// checkDelegated refuses what clients would refuse later.
func (e *Editor) checkDelegated(product string) error {
	d := delegated(e.targets, product)
	if d == nil {
		return errors.New("targets do not delegate to it")
	}
	return checkPaths(d, e.products[product])
}

// keysOf returns the keys that may sign a proposed file.
func (e *Editor) keysOf(role string, m any) map[string]*metadata.Key {
	switch {
	case role == metadata.ROOT:
		keys := maps.Clone(m.(*rootMeta).Signed.Keys)
		if e.before != nil {
			maps.Copy(keys, e.before.Signed.Keys)
		}
		return ours.usableKeys(keys)
	case role == metadata.TARGETS:
		return ours.usableKeys(e.root.Signed.Keys)
	case e.targets.Signed.Delegations == nil:
		return nil
	}
	return ours.usableKeys(e.targets.Signed.Delegations.Keys)
}

// genuine returns the signatures that verify. One that somebody made up must not
// stand in the way of the real one.
func genuine[T metadata.Roles](m *metadata.Metadata[T], keys map[string]*metadata.Key) ([]metadata.Signature, error) {
	payload, err := cjson.EncodeCanonical(m.Signed)
	if err != nil {
		return nil, err
	}
	good := []metadata.Signature{}
	for _, s := range m.Signatures {
		k := keys[s.KeyID]
		if k == nil {
			continue
		}
		pub, err := k.ToPublicKey()
		if err != nil {
			return nil, err
		}
		v, err := signature.LoadVerifier(pub, crypto.SHA256)
		if err != nil {
			return nil, err
		}
		if v.VerifySignature(bytes.NewReader(s.Signature), bytes.NewReader(payload)) == nil {
			good = append(good, s)
		}
	}
	return good, nil
}

func versionOf(m *targetsMeta) int64 { return m.Signed.Version }

// adopt puts a proposed file in the place of have, or adds its signatures to one
// that was adopted before.
func adopt[T metadata.Roles](e *Editor, f *proposedFile, max int, have **metadata.Metadata[T], version func(*metadata.Metadata[T]) int64) error {
	m, err := parse[T]("metadata/"+f.Role+".json", f.Role, f.Metadata, max)
	if err != nil {
		return err
	}
	if m.Signatures, err = genuine(m, e.keysOf(f.Role, any(m))); err != nil {
		return err
	}
	if before := e.adopted[f.Role]; before != nil {
		was, err := cjson.EncodeCanonical((*have).Signed)
		if err != nil {
			return err
		}
		is, err := cjson.EncodeCanonical(m.Signed)
		if err != nil {
			return err
		}
		if !bytes.Equal(was, is) {
			return errors.New("two proposals differ")
		}
		for _, s := range m.Signatures {
			if !hasSigned(before, s.KeyID) {
				before = append(before, s)
			}
		}
		e.adopted[f.Role] = before
		return nil
	}
	if want, got := version(*have)+1, version(m); want != got {
		return fmt.Errorf("version %d, want %d: the repository has moved on", got, want)
	}
	e.adopted[f.Role], e.changed[f.Role] = m.Signatures, true
	m.Signatures = nil
	*have = m
	return nil
}
