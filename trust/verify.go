package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

type (
	rootMeta      = metadata.Metadata[metadata.RootType]
	timestampMeta = metadata.Metadata[metadata.TimestampType]
	snapshotMeta  = metadata.Metadata[metadata.SnapshotType]
	targetsMeta   = metadata.Metadata[metadata.TargetsType]
)

// usableKey reports why the signatures of a key do not count. go-tuf alone would
// fail a whole role over one key of a kind it does not know, verify ECDSA
// signatures of a key that calls itself ed25519, and take RSA with 1024 bits.
func (d dialect) usableKey(k *metadata.Key) error {
	switch [2]string{k.Type, k.Scheme} {
	case [2]string{metadata.KeyTypeEd25519, metadata.KeySchemeEd25519}:
	case [2]string{metadata.KeyTypeECDSA_SHA2_P256, metadata.KeySchemeECDSA_SHA2_P256}:
	case [2]string{metadata.KeyTypeECDSA_SHA2_P256_COMPAT, metadata.KeySchemeECDSA_SHA2_P256}:
	case [2]string{metadata.KeyTypeRSASSA_PSS_SHA256, metadata.KeySchemeRSASSA_PSS_SHA256}:
	default:
		return fmt.Errorf("key type %.40q with scheme %.40q is not supported", k.Type, k.Scheme)
	}
	var pub crypto.PublicKey
	err := guard(func() (err error) {
		pub, err = k.ToPublicKey()
		return err
	})
	if err != nil {
		return fmt.Errorf("read public key: %w", err)
	}
	if k, ok := pub.(*rsa.PublicKey); ok && d == foreign {
		return usableRSA(k)
	}
	return usablePublicKey(pub)
}

// usablePublicKey is stricter than ValidatePubKey of sigstore, which takes other
// curves and RSA and looks at no length.
func usablePublicKey(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return fmt.Errorf("ed25519 key of %d bytes, want %d", len(k), ed25519.PublicKeySize)
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return fmt.Errorf("ecdsa key on %s, want P-256", k.Curve.Params().Name)
		}
	default:
		return fmt.Errorf("key of type %T, want ed25519 or ecdsa", pub)
	}
	return nil
}

// usableRoot returns what of a root is needed to judge other files by it, without
// the keys that do not count. Its own signatures do not verify any more.
func (d dialect) usableRoot(m *rootMeta) *rootMeta {
	r := &rootMeta{Signed: metadata.RootType{
		Type:    metadata.ROOT,
		Version: m.Signed.Version,
		Expires: m.Signed.Expires,
		Keys:    d.usableKeys(m.Signed.Keys),
		Roles:   map[string]*metadata.Role{},

		ConsistentSnapshot: m.Signed.ConsistentSnapshot,
	}}
	for name, role := range m.Signed.Roles {
		r.Signed.Roles[name] = &metadata.Role{
			KeyIDs:    known(role.KeyIDs, r.Signed.Keys),
			Threshold: role.Threshold,
		}
	}
	return r
}

// usableTargets does the same for a file that delegates.
func (d dialect) usableTargets(m *targetsMeta) *targetsMeta {
	t := *m
	if m.Signed.Delegations != nil {
		keys := d.usableKeys(m.Signed.Delegations.Keys)
		t.Signed.Delegations = &metadata.Delegations{Keys: keys}
		if bins := m.Signed.Delegations.SuccinctRoles; bins != nil {
			b := *bins
			b.KeyIDs = known(b.KeyIDs, keys)
			t.Signed.Delegations.SuccinctRoles = &b
		}
		for _, role := range m.Signed.Delegations.Roles {
			role.KeyIDs = known(role.KeyIDs, keys)
			t.Signed.Delegations.Roles = append(t.Signed.Delegations.Roles, role)
		}
	}
	return &t
}

func (d dialect) usableKeys(all map[string]*metadata.Key) map[string]*metadata.Key {
	keys := map[string]*metadata.Key{}
	for id, k := range all {
		if d.usableKey(k) == nil {
			keys[id] = k
		}
	}
	return keys
}

func known(ids []string, keys map[string]*metadata.Key) (in []string) {
	for _, id := range ids {
		if keys[id] != nil {
			in = append(in, id)
		}
	}
	return in
}

// nextRoot checks that b is the root that follows trusted: signed by its keys,
// its version plus one, and signed by its own keys. go-tuf's own step is not
// used because it fails on one key of an unknown type.
func (d dialect) nextRoot(trusted *rootMeta, b []byte) (*rootMeta, error) {
	want := trusted.Signed.Version + 1
	file := rootFile(want)
	m, err := parseAs[metadata.RootType](d, file, metadata.ROOT, b, maxRoot)
	if err != nil {
		return nil, err
	}
	if err := signedBy(trusted, file, m); err != nil {
		return nil, err
	}
	if got := m.Signed.Version; got < want {
		return nil, &RollbackError{file, want, got}
	} else if got > want {
		return nil, &FormatError{file, fmt.Errorf("version %d, want %d", got, want)}
	}
	return d.selfSigned(file, m)
}

// firstRoot reads the embedded root.
func (d dialect) firstRoot(b []byte) (*rootMeta, error) {
	const file = "root.json"
	m, err := parseAs[metadata.RootType](d, file, metadata.ROOT, b, maxRoot)
	if err != nil {
		return nil, err
	}
	return d.selfSigned(file, m)
}

func (d dialect) selfSigned(file string, m *rootMeta) (*rootMeta, error) {
	root := d.usableRoot(m)
	if err := signedBy(root, file, m); err != nil {
		return nil, err
	}
	return root, nil
}

func signedBy(by *rootMeta, file string, m *rootMeta) error {
	err := guard(func() error { return by.VerifyDelegate(metadata.ROOT, m) })
	if err != nil {
		return &SignatureError{file, metadata.ROOT, err}
	}
	return nil
}

// refusal gives what go-tuf returned about a parsed file one of our types.
func refusal(file, role string, err error) error {
	var unsigned *metadata.ErrUnsignedMetadata
	var value *metadata.ErrValue // no key of the role counts
	if errors.As(err, &unsigned) || errors.As(err, &value) {
		return &SignatureError{file, role, err}
	}
	return &FormatError{file, err}
}
