// Package provenance verifies how a release tree was made: that somebody known,
// such as a workflow of a CI service, signed a statement that lists its files.
//
// The statement is an in-toto attestation in a sigstore bundle. It is signed with
// a key that lives for minutes, whose certificate (Fulcio) says for whom, and is
// entered in a public log (Rekor): nobody keeps a key. What is verified:
//
//   - certificate, log entry and signature, by the trusted root of sigstore or of
//     one's own;
//   - the certificate's issuer and identity, both as given, no patterns;
//   - that each regular file of the tree is a subject of the statement, by its
//     SHA-256. A tree may hold fewer files than the statement lists, never others.
//     Names are not compared: a build lists files where it made them.
//
// The module is apart from the rest because it links sigstore-go and all it needs:
// 20 MB and some 70 modules that no client, and no publisher without provenance,
// should pay for. Only mkrelease-provenance uses it, which mkrelease runs.
package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// maxFiles bounds a tree; a statement has hardly more than some thousands.
const maxFiles = 1 << 20

// Policy says whose statement is wanted.
type Policy struct {
	Issuer   string // such as https://token.actions.githubusercontent.com
	Identity string // such as https://github.com/o/r/.github/workflows/w.yml@refs/tags/v1
}

// Summary is what a good statement says.
type Summary struct {
	Predicate string `json:"predicate"` // type of the statement
	Issuer    string `json:"issuer"`
	Identity  string `json:"identity"`
	Files     int    `json:"files"` // of the tree
	Subjects  int    `json:"subjects"`
}

// A FilesError lists the files of a tree that the statement does not.
type FilesError struct{ Files []string }

const maxShown = 10

func (e *FilesError) Error() string {
	shown := e.Files[:min(len(e.Files), maxShown)]
	text := strings.Join(shown, ", ")
	if n := len(e.Files) - len(shown); n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return "the statement does not list " + text
}

// Verify verifies a bundle and compares it with a tree.
func Verify(bundleJSON []byte, trusted root.TrustedMaterial, p Policy, tree fs.FS) (*Summary, error) {
	var b bundle.Bundle
	if err := b.UnmarshalJSON(bundleJSON); err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	return verifyEntity(&b, trusted, p, tree,
		verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1))
}

func verifyEntity(e verify.SignedEntity, trusted root.TrustedMaterial, p Policy, tree fs.FS, opts ...verify.VerifierOption) (*Summary, error) {
	if p.Issuer == "" || p.Identity == "" {
		return nil, errors.New("verify provenance: want an issuer and an identity")
	}
	verifier, err := verify.NewVerifier(trusted, opts...)
	if err != nil {
		return nil, fmt.Errorf("verify provenance: %w", err)
	}
	identity, err := verify.NewShortCertificateIdentity(p.Issuer, "", p.Identity, "")
	if err != nil {
		return nil, fmt.Errorf("verify provenance: %w", err)
	}
	// The subjects are compared below, with many files instead of one.
	result, err := verifier.Verify(e, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithCertificateIdentity(identity)))
	if err != nil {
		return nil, fmt.Errorf("verify provenance: %w", err)
	}
	if result.Statement == nil {
		return nil, errors.New("verify provenance: the bundle signs no statement")
	}
	digests := map[string]bool{}
	for _, s := range result.Statement.GetSubject() {
		digests[strings.ToLower(s.GetDigest()["sha256"])] = true
	}
	delete(digests, "") // of subjects with other digests only
	files, err := compare(tree, digests)
	if err != nil {
		return nil, fmt.Errorf("verify provenance: %w", err)
	}
	return &Summary{result.Statement.GetPredicateType(), p.Issuer, p.Identity, files, len(result.Statement.GetSubject())}, nil
}

// compare returns the number of files in a tree, or a FilesError.
func compare(tree fs.FS, digests map[string]bool) (files int, err error) {
	var missing []string
	err = fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if files++; files > maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		sum, err := digest(tree, path)
		if err == nil && !digests[sum] {
			missing = append(missing, path)
		}
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case len(missing) > 0:
		slices.Sort(missing)
		return 0, &FilesError{missing}
	case files == 0:
		return 0, errors.New("the tree has no files")
	}
	return files, nil
}

func digest(tree fs.FS, path string) (string, error) {
	f, err := tree.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
