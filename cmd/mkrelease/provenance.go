package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/publisher"
)

// verifierName is the program that verifies provenance. It is apart, in a module
// of its own, because it links ten times what all else here does.
const verifierName = "mkrelease-provenance"

// maxExtra bounds provenance and bills of materials.
const maxExtra = 16 << 20

// provenance is what publish is told about how the tree was made.
type provenance struct {
	provenance, require, sigstoreRoot, sbom string
}

// readExtras verifies what must be verified, and reads what is signed along.
func (p *publication) readExtras(ctx context.Context) error {
	if p.require != "" {
		if p.provenance.provenance == "" {
			return &cli.UsageError{Text: "--require-provenance: want --provenance too"}
		}
		if err := p.verifyProvenance(ctx); err != nil {
			return err
		}
	}
	for _, x := range []struct{ name, file string }{{"provenance.json", p.provenance.provenance}, {"sbom.json", p.sbom}} {
		if x.file == "" {
			continue
		}
		b, err := smallfile.Read(x.file, maxExtra)
		if err != nil {
			return err
		}
		p.release.Extras = append(p.release.Extras, publisher.Extra{Name: x.name, Data: b})
	}
	return nil
}

// verifyProvenance lets the verifier look at the bundle and the tree.
func (p *publication) verifyProvenance(ctx context.Context) error {
	args := []string{"verify", "--bundle", p.provenance.provenance}
	for part := range strings.SplitSeq(p.require, ",") {
		key, value, ok := strings.Cut(part, "=")
		if !ok || value == "" || key != "issuer" && key != "identity" {
			return &cli.UsageError{Text: fmt.Sprintf("--require-provenance %s: want issuer=URL,identity=NAME", p.require)}
		}
		args = append(args, "--"+key, value)
	}
	if p.sigstoreRoot != "" {
		args = append(args, "--trusted-root", p.sigstoreRoot)
	}
	cmd := exec.CommandContext(ctx, verifierName, append(args, p.release.Tree)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("verify provenance: %w: go install github.com/treegraft-dev/treegraft/provenance/cmd/%s@latest makes it", err, verifierName)
	}
	if err != nil {
		return fmt.Errorf("verify provenance %s: %w", p.provenance.provenance, err)
	}
	p.out.Note("%s", strings.TrimSpace(string(out)))
	return nil
}
