// Applyrelease brings an install tree to a release, and back.
//
//	applyrelease install --repo DIR|URL --root root.json --product P DIR
//	applyrelease check DIR
//	applyrelease update DIR
//	applyrelease verify DIR
//	applyrelease rollback DIR
//
// An install remembers where its releases come from, so the other verbs need
// only the folder. "applyrelease help" lists all of them, "applyrelease help
// exit-codes" what scripts can rely on.
//
// The program is a thin shell around package client: one file for each verb,
// tree.go and products.go for what they share, report.go for how results are
// told, explain.go for what is said about errors, ways.go for what to do next.
package main

import (
	"math"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
)

// An update runs beside what people work with, so garbage is collected early:
// one step of memory is large, and there are few of them.
const softMemory = 64 << 20

// policy is the file with the administrator's policy, if not the usual one. Only
// who builds the program can set it: -ldflags "-X main.policy=FILE".
var policy string

func main() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 { // nobody said otherwise
		debug.SetMemoryLimit(softMemory)
	}
	p := cli.Program{
		Name:  "applyrelease",
		Short: "Install and update file trees from signed releases",
		Long: `Applyrelease brings an install tree to a release, whole or not at all, and can
bring it back. Everything it believes is signed; files it does not manage are
never touched.`,
		Verbs: []func(*cli.Out) *cobra.Command{
			installVerb, checkVerb, planVerb, fetchVerb, applyVerb, updateVerb,
			listVerb, setupVerb, uninstallVerb, statusVerb, verifyVerb, repairVerb, rollbackVerb, confirmVerb, probationVerb, historyVerb,
			cleanupVerb, maintenanceVerb,
			holdVerb, unholdVerb, channelVerb, approveVerb, restoreVerb, resumeVerb, abortVerb, doctorVerb,
			patchVerb,
		},
		Explain: explain,
	}
	p.Main()
}
