package main

import (
	"cmp"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
)

func listVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "list [--repo DIR|URL --root root.json] DIR",
		Short: "List the products that the repository offers",
		Long: `List shows the products of the repository, with the release that an install would
take, and which of them are installed in the tree. It changes nothing.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.openAny(args[0])
			if err != nil {
				return err
			}
			offers, err := c.Offers(cmd.Context())
			if err != nil {
				return err
			}
			for _, o := range offers {
				v := struct {
					Product   string `json:"product"`
					Version   string `json:"version"`
					Installed string `json:"installed,omitempty"`
					Essential bool   `json:"essential"`
				}{o.Product, o.Version, o.Installed, o.Essential}
				essential := ""
				if o.Essential {
					essential = ", essential"
				}
				out.Item("product", v, "%s %s (installed: %s%s)", o.Product, o.Version, cmp.Or(o.Installed, "no"), essential)
			}
			return out.End(cli.OK, map[string]int{"products": len(offers)})
		},
	}
	t.remoteFlags(cmd.Flags())
	t.installFlags(cmd.Flags())
	return cmd
}
