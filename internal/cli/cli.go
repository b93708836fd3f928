// Package cli is what the two commands share: how a verb is run, how it speaks,
// where its settings come from, and what its exit code means.
//
// # Conventions
//
//   - Results go to stdout, progress and remarks to stderr.
//   - With --json, stdout holds one JSON object a line, each with a "type".
//     The last one is a "summary" or an "error", and has the exit "code".
//   - A flag goes before the environment, that before the config file, that
//     before the default. Each flag has a variable: --old-tree of mkrelease is
//     MKRELEASE_OLD_TREE, and "old-tree" in the config file.
//   - The config file is JSON: $XDG_CONFIG_HOME/treegraft/<command>.json, or
//     what <COMMAND>_CONFIG names. A setting that no verb has is an error, one
//     that only other verbs have is not.
//   - No secret is ever a flag's value.
//   - SIGINT and SIGTERM end a verb in good order; the second one kills.
//
// # Limits
//
// An exit code says what kind of thing went wrong, see [Code]; the text on
// stderr says what.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Program is one of the commands.
type Program struct {
	Name  string // as it is typed
	Short string
	Long  string
	Verbs []func(*Out) *cobra.Command
	// Explain tells more about an error before it is reported: the whole list
	// where the error's text has its beginning, or a way out. It returns the
	// text to report. May be nil.
	Explain func(*Out, error) string
}

// Main runs the program with the arguments of the process, and exits.
func (p *Program) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from then on a signal kills
	code := p.run(ctx, os.Args[1:], &Out{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr})
	stop()
	os.Exit(int(code))
}

// run runs one verb. It is Main without the process.
func (p *Program) run(ctx context.Context, args []string, out *Out) Code {
	out.explain = p.Explain
	root, began := p.command(out)
	root.SetArgs(args)
	root.SetOut(out.stdout)
	root.SetErr(out.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	out.stop()
	var done *exit
	switch {
	case err == nil && out.failed != nil:
		err = fmt.Errorf("write results: %w", out.failed)
	case err == nil:
		return OK
	case errors.As(err, &done):
		return done.code
	}
	code := CodeOf(err)
	if !*began {
		code = Usage // cobra found fault with the arguments
		out.json = out.json || slices.Contains(args, "--json")
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		code, err = interrupted, errors.New("interrupted")
	}
	p.report(out, cmd, code, err)
	return code
}

// report says what went wrong, on stderr, and with --json as the last object.
func (p *Program) report(out *Out, cmd *cobra.Command, code Code, err error) {
	text := err.Error()
	if p.Explain != nil {
		text = p.Explain(out, err)
	}
	if out.json {
		out.object("error", struct {
			Code  Code   `json:"code"`
			Error string `json:"error"`
		}{code, text})
	}
	fmt.Fprintf(out.stderr, "%s: %s\n", p.Name, text)
	if code == Usage {
		fmt.Fprintf(out.stderr, "usage: %s\n", cmd.UseLine())
	}
}

// command builds the tree of verbs. Began becomes true when one of them runs,
// which tells its errors from those that cobra has with the arguments.
func (p *Program) command(out *Out) (root *cobra.Command, began *bool) {
	began = new(bool)
	root = &cobra.Command{
		Use: p.Name, Short: p.Short, Long: p.Long, Version: Version(),
		SilenceErrors: true, SilenceUsage: true,
	}
	flags := root.PersistentFlags()
	flags.BoolVar(&out.json, "json", false, "write results as one JSON object a line")
	flags.BoolVarP(&out.quiet, "quiet", "q", false, "no progress and no remarks")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		// A word in the environment must not turn help into an error.
		if cmd.RunE == nil {
			return nil
		}
		if err := p.configure(root, cmd); err != nil {
			return err
		}
		out.start()
		return nil
	}
	for _, verb := range append(p.Verbs, versionVerb) {
		cmd := verb(out)
		begin(cmd, began)
		root.AddCommand(cmd)
	}
	root.AddCommand(&cobra.Command{
		Use: "exit-codes", Short: "What the exit codes mean", Long: codesText(),
	})
	return root, began
}

// begin makes the verb, and the verbs below it, say that they run.
func begin(cmd *cobra.Command, began *bool) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*began = true
			return run(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		begin(sub, began)
	}
}

// envName returns the variable of a flag.
func (p *Program) envName(flag string) string {
	return strings.ToUpper(p.Name + "_" + strings.ReplaceAll(flag, "-", "_"))
}
