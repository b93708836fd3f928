package provenance

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/testing/data"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

const (
	issuer   = "https://token.example.com"
	identity = "https://example.com/o/r/.ci/release.yml@refs/tags/v1"
)

func tree(files ...string) fstest.MapFS {
	t := fstest.MapFS{"bin/link": {Mode: 0o777 | 1<<27, Data: []byte("app")}}
	for _, f := range files {
		t["build/"+f] = &fstest.MapFile{Data: []byte("content of " + f)}
	}
	return t
}

// statement lists files as a build does.
func statement(t *testing.T, files ...string) []byte {
	t.Helper()
	subjects := []map[string]any{}
	for _, f := range files {
		subjects = append(subjects, map[string]any{"name": f, "digest": map[string]string{"sha256": fmt.Sprintf("%x", sha256.Sum256([]byte("content of "+f)))}})
	}
	b, err := json.Marshal(map[string]any{"_type": "https://in-toto.io/Statement/v1", "subject": subjects,
		"predicateType": "https://slsa.dev/provenance/v1", "predicate": map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An instance of sigstore of our own: its log and certificates are real, and good
// for this test only.
func TestVerifyTree(t *testing.T) {
	sigstore, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	other, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	good := Policy{issuer, identity}
	for _, tt := range []struct {
		name   string
		policy Policy
		listed []string
		tree   fstest.MapFS
		signer *ca.VirtualSigstore
		want   string // in the error
	}{
		{"all files", good, []string{"a", "b"}, tree("a", "b"), sigstore, ""},
		{"fewer files than listed", good, []string{"a", "b"}, tree("b"), sigstore, ""},
		{"a file more", good, []string{"a"}, tree("a", "b", "c"), sigstore, "does not list build/b, build/c"},
		{"a changed file", good, []string{"a"}, fstest.MapFS{"a": {Data: []byte("x")}}, sigstore, "does not list a"},
		{"no files", good, []string{"a"}, fstest.MapFS{}, sigstore, "no files"},
		{"another issuer", Policy{"https://evil.example.com", identity}, []string{"a"}, tree("a"), sigstore, "no matching CertificateIdentity"},
		{"another identity", Policy{issuer, identity + "0"}, []string{"a"}, tree("a"), sigstore, "no matching CertificateIdentity"},
		{"a pattern is no identity", Policy{issuer, ".*"}, []string{"a"}, tree("a"), sigstore, "no matching CertificateIdentity"},
		{"another instance", good, []string{"a"}, tree("a"), other, "verify"},
		{"no issuer", Policy{"", identity}, []string{"a"}, tree("a"), sigstore, "want an issuer"},
		{"no identity", Policy{issuer, ""}, []string{"a"}, tree("a"), sigstore, "want an issuer and an identity"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := tt.signer.Attest(identity, issuer, statement(t, tt.listed...))
			if err != nil {
				t.Fatal(err)
			}
			s, err := verifyEntity(e, sigstore, tt.policy, tt.tree, verify.WithTransparencyLog(1), verify.WithSignedTimestamps(1))
			if tt.want == "" {
				if err != nil || s.Subjects != len(tt.listed) || s.Predicate != "https://slsa.dev/provenance/v1" {
					t.Errorf("got %+v, %v", s, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A bundle of the public instance, stored: certificate, log and signature are
// good, and its subject is no file of ours.
func TestPublicBundle(t *testing.T) {
	b := data.Bundle(t, "sigstore.js@2.0.0-provenance.sigstore.json")
	raw, err := b.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	trusted := data.TrustedRoot(t, "public-good.json")
	p := Policy{"https://token.actions.githubusercontent.com", "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main"}
	var files *FilesError
	if _, err := Verify(raw, trusted, p, tree("a")); !errors.As(err, &files) || len(files.Files) != 1 {
		t.Errorf("got %v, want the files that are not listed", err)
	}
	p.Identity += "x"
	if _, err := Verify(raw, trusted, p, tree("a")); err == nil || errors.As(err, &files) {
		t.Errorf("another identity: got %v", err)
	}
	tampered := strings.Replace(string(raw), `"payload":"`, `"payload":"AAAA`, 1)
	if _, err := Verify([]byte(tampered), trusted, p, tree("a")); err == nil || errors.As(err, &files) {
		t.Errorf("tampered: got %v", err)
	}
	for _, bad := range []string{"", "{}", "null", "[]", string(raw[:len(raw)/2])} {
		if _, err := Verify([]byte(bad), trusted, p, tree("a")); err == nil {
			t.Errorf("%.10q: want an error", bad)
		}
	}
}

func TestFilesError(t *testing.T) {
	e := &FilesError{strings.Split(strings.Repeat("f ", 11)+"f", " ")}
	if got, want := e.Error(), "the statement does not list "+strings.Repeat("f, ", 9)+"f and 2 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
