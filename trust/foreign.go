package trust

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// dialect says how much of TUF is taken.
type dialect bool

const (
	ours    dialect = false // what an [Editor] writes
	foreign dialect = true  // what the specification allows
)

func (o *Options) dialect() dialect { return dialect(o.Foreign) }

// maxRoles is how many roles Find asks for one target: delegations may form a
// circle, or a tree without end.
const maxRoles = 32

// usableRSA takes what is still thought safe, and not so long that verifying
// one signature takes a second.
func usableRSA(k *rsa.PublicKey) error {
	if bits := k.N.BitLen(); bits < 2048 || bits > 8192 {
		return fmt.Errorf("rsa key of %d bits, want 2048 to 8192", bits)
	}
	if k.E < 3 || k.E&1 == 0 {
		return fmt.Errorf("rsa key with exponent %d", k.E)
	}
	return nil
}

// checkRoleName checks the name of a role that is delegated to. Elsewhere it may
// be anything, and is escaped before it becomes part of a file's name.
func (d dialect) checkRoleName(name string) error {
	if d != foreign {
		return checkProduct(name)
	}
	if name == "" || len(name) > maxName || slices.Contains(metadata.TOP_LEVEL_ROLE_NAMES[:], name) {
		return fmt.Errorf("role %.80q: want 1 to %d bytes, and no name of a top-level role", name, maxName)
	}
	return nil
}

func (d dialect) checkTarget(f *faults, name string, t *metadata.TargetFiles) {
	if d != foreign {
		checkTargetName(f, name)
		d.checkHashes(f, name, t.Hashes)
	}
}

// file returns where the metadata of a role is. The name of the role is one
// segment of the path, whatever is in it.
func (t *trusted) file(version int64, role string) string {
	role = url.PathEscape(role)
	if !t.set.Root.Signed.ConsistentSnapshot && role != metadata.ROOT {
		return "metadata/" + role + ".json"
	}
	return metaFile(version, role)
}

// isListed reports whether b, of the cache, is what another file lists, as far as
// that can be told without its signatures.
func (t *trusted) isListed(role string, b []byte, want *metadata.MetaFiles) bool {
	if checkMetaContent(t.file(want.Version, role), b, want) != nil {
		return false
	}
	if len(want.Hashes) > 0 {
		return true
	}
	m, err := parseAs[metadata.TargetsType](t.dialect, "cache", role, b, maxTargets)
	return err == nil && m.Signed.Version == want.Version
}

// find walks the delegations depth first, in their order.
func (t *trusted) find(ctx context.Context, name string) (Target, error) {
	type edge struct{ role, by string }
	todo := []edge{{metadata.TARGETS, metadata.ROOT}}
	asked := map[string]bool{}
	for len(todo) > 0 && len(asked) < maxRoles {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if asked[next.role] {
			continue
		}
		asked[next.role] = true
		m, err := t.signedBy(ctx, next.role, next.by)
		if err != nil {
			return Target{}, err
		}
		if f := m.Signed.Targets[name]; f != nil {
			return t.found(next.role, m, name)
		}
		below, last := t.dialect.delegates(m, name)
		if last {
			todo = nil
		}
		for _, role := range slices.Backward(below) {
			todo = append(todo, edge{role, next.role})
		}
	}
	return Target{}, fmt.Errorf("find target %.80q: %w", name, fs.ErrNotExist)
}

// signedBy returns a role as its delegator vouches for it. The same role may have
// other keys with another delegator, so what an earlier walk found is not enough.
func (t *trusted) signedBy(ctx context.Context, role, by string) (*targetsMeta, error) {
	switch {
	case role == metadata.TARGETS:
		return t.targets, nil
	case t.dialect != foreign:
		return t.product(ctx, role)
	}
	m, err := t.updateTargets(ctx, role, by)
	if err == nil {
		t.set.Targets[role] = t.dialect.usableTargets(m)
	}
	return m, err
}

func (t *trusted) found(role string, m *targetsMeta, name string) (Target, error) {
	var f faults
	file := m.Signed.Targets[name]
	t.dialect.checkHashes(&f, name, file.Hashes)
	if len(f) > 0 {
		return Target{}, &FormatError{t.file(m.Signed.Version, role), f[0]}
	}
	target := targetOf(name, file)
	target.plain = !t.set.Root.Signed.ConsistentSnapshot
	return target, nil
}

// delegates returns the roles that m lets sign a name, in order. Last says that
// nobody else may, whether they do or not.
func (d dialect) delegates(m *targetsMeta, name string) (roles []string, last bool) {
	all := m.Signed.Delegations
	if all == nil {
		return nil, false
	}
	sum := sha256.Sum256([]byte(name))
	if bins := all.SuccinctRoles; bins != nil {
		return []string{binOf(bins, sum)}, true
	}
	for _, role := range all.Roles {
		match, err := role.IsDelegatedPath(name)
		if len(role.Paths) == 0 { // not as go-tuf does it, which compares base64
			match = slices.ContainsFunc(role.PathHashPrefixes, func(prefix string) bool {
				return strings.HasPrefix(hex.EncodeToString(sum[:]), prefix)
			})
		}
		if !match || err != nil {
			continue
		}
		roles = append(roles, role.Name)
		if role.Terminating {
			return roles, true
		}
	}
	return roles, false
}

// binOf returns which of 2^BitLength roles signs a name: the first bits of its
// hash, in as many hexadecimal digits as the last role needs.
func binOf(bins *metadata.SuccinctRoles, sum [32]byte) string {
	bits := cmp.Or(min(max(bins.BitLength, 1), 32), 1)
	first := uint64(sum[0])<<24 | uint64(sum[1])<<16 | uint64(sum[2])<<8 | uint64(sum[3])
	return fmt.Sprintf("%s-%0*x", bins.NamePrefix, (bits+3)/4, first>>(32-bits))
}
