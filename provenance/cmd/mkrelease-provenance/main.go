// Mkrelease-provenance verifies a sigstore bundle against a release tree, for
// "mkrelease publish --require-provenance".
//
//	mkrelease-provenance verify --bundle FILE --issuer URL --identity NAME [--trusted-root FILE] TREE
//
// Without --trusted-root it fetches that of the public sigstore instance, through
// TUF. It prints one line of JSON and exits with 0, or else says why and exits
// with 1.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/treegraft-dev/treegraft/provenance"
)

// maxFile bounds a bundle and a trusted root.
const maxFile = 16 << 20

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mkrelease-provenance:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 || args[0] != "verify" {
		return errors.New("want verify --bundle FILE --issuer URL --identity NAME TREE")
	}
	var policy provenance.Policy
	var bundle, trusted string
	f := flag.NewFlagSet("verify", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&bundle, "bundle", "", "sigstore bundle")
	f.StringVar(&policy.Issuer, "issuer", "", "who vouched for the identity")
	f.StringVar(&policy.Identity, "identity", "", "who signed")
	f.StringVar(&trusted, "trusted-root", "", "trusted_root.json")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if f.NArg() != 1 || bundle == "" {
		return errors.New("want --bundle FILE and one folder")
	}
	b, err := readFile(bundle)
	if err != nil {
		return err
	}
	material, err := open(trusted)
	if err != nil {
		return fmt.Errorf("read trusted root: %w", err)
	}
	summary, err := provenance.Verify(b, material, policy, os.DirFS(f.Arg(0)))
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(summary)
}

func open(file string) (root.TrustedMaterial, error) {
	if file == "" {
		return root.FetchTrustedRoot()
	}
	b, err := readFile(file)
	if err != nil {
		return nil, err
	}
	return root.NewTrustedRootFromJSON(b)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("read %s: more than %d bytes", name, maxFile)
	}
	return b, err
}
