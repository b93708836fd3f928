// Mkrelease makes signed releases of file trees, with deltas between them, in
// a repository of static files.
//
//	mkrelease init    --repo DIR --keys DIR
//	mkrelease publish --repo DIR --keys DIR --product P --version V TREE
//	mkrelease diff    OLD NEW -o DELTA
//	mkrelease demo
//
// The demo shows all of it in a temporary folder. "mkrelease help" lists all
// verbs, "mkrelease help exit-codes" what scripts can rely on.
//
// The program is a thin shell around package publisher: one file for each
// verb, repo.go and sign.go for what they share. It tries each release with
// package client before the release goes live.
package main

import (
	"errors"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/trust"
)

// What a diff holds is few large blocks of bytes, which cost nothing to collect:
// a third of the memory is saved on a program of 11 MB, for no time.
const garbagePercent = 25

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	p := cli.Program{
		Name:  "mkrelease",
		Short: "Make signed releases of file trees, with deltas between them",
		Long: `Mkrelease turns release trees into signed releases, with deltas between them, in
a repository of static files that any web server, CDN or USB stick can carry.`,
		Verbs: []func(*cli.Out) *cobra.Command{
			initVerb, keysVerb, publishVerb, promoteVerb, rolloutVerb, markVerb, withdrawVerb, pruneVerb, gcVerb, bundleVerb, refreshVerb,
			listVerb, inspectVerb, reportVerb, serveVerb, verifyVerb, doctorVerb, diffVerb, demoVerb,
		},
		Explain: explain,
	}
	p.Main()
}

// explain adds to an error what its one line has no room for, and what to do.
func explain(out *cli.Out, err error) string {
	var invalid *manifest.InvalidError
	var exists *publisher.ExistsError
	var expired *trust.ExpiredError
	switch {
	case errors.As(err, &invalid):
		tellFaults(out, invalid.Faults)
	case errors.As(err, &exists):
		for _, c := range exists.Changes {
			out.Item("difference", map[string]string{"path": c.Path}, "differs: %s", c.Path)
		}
		out.Note("A version never changes once it is published: choose a new one.")
	case errors.As(err, &expired) && os.Getenv(epochName) != "":
		out.Note("%s sets the clock: what is signed then may have expired by now.", epochName)
	case errors.Is(err, trust.ErrPassphrase):
		out.Note("The passphrase comes from --passphrase-file, %s or the terminal.", passphraseName)
	}
	return err.Error()
}

func tellFaults(out *cli.Out, faults []manifest.Fault) {
	for _, f := range faults {
		out.Item("fault", struct {
			Path   string `json:"path"`
			Reason string `json:"reason"`
		}(f), "%s: %s", f.Path, f.Reason)
	}
}
