package cli

import "github.com/spf13/cobra"

// Require makes flags of a verb required. They are defined: only a mistake in
// the program can break that.
func Require(cmd *cobra.Command, flags ...string) {
	for _, f := range flags {
		if err := cmd.MarkFlagRequired(f); err != nil {
			panic(err)
		}
	}
}
