package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/publisher/releasefile"
)

// publication is what the flags say about a release.
type publication struct {
	repository
	provenance
	release     publisher.Release
	file        string // name of a release file
	rollout     int
	severity    string
	making      making
	merge, keep []string
}

// published is the summary of publish.
type published struct {
	Product     string `json:"product"`
	Version     string `json:"version"`
	Sequence    uint64 `json:"sequence"`
	Platform    string `json:"platform"`
	Channel     string `json:"channel"`
	Already     bool   `json:"already"`
	Files       int    `json:"files"`
	Content     int64  `json:"content"`
	Objects     int    `json:"objects"`
	ObjectBytes int64  `json:"object_bytes"`
	Written     int64  `json:"written"`
}

func publishVerb(out *cli.Out) *cobra.Command {
	p := publication{repository: repository{out: out}}
	cmd := &cobra.Command{
		Use:   "publish --repo DIR --keys DIR {--product P --version V | --release FILE} [--channel C] [OLD...] TREE",
		Short: "Publish a release tree",
		Long: `Publish signs the tree as a release, stores its files and the deltas from earlier
releases of the channel, tries all of it with the real client, and then lets it
go live with one write. A publish that was cut short is simply run again.

OLD are folders with earlier releases, if they are at hand: their content then
need not be read back from the repository.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.release.Old, p.release.Tree = args[:len(args)-1], args[len(args)-1]
			if err := p.readFile(cmd.Flags()); err != nil {
				return err
			}
			report, err := p.publish(cmd.Context())
			if err != nil {
				return err
			}
			if p.export != "" {
				return p.tellRoot(nil, "")
			}
			return tellReport(out, p.release.Channel, report)
		},
	}
	p.signFlags(cmd)
	p.exportFlag(cmd)
	p.releaseFlags(cmd)
	return cmd
}

func (p *publication) releaseFlags(cmd *cobra.Command) {
	f, facts := cmd.Flags(), &p.release.Facts
	f.StringVar(&facts.Product, "product", "", "name of the product")
	f.StringVar(&facts.Version, "version", "", "semantic version, such as 1.2.3")
	f.StringVar(&facts.Platform, "platform", manifest.AnyPlatform, "GOOS-GOARCH that the tree is for")
	f.Uint64Var(&facts.Sequence, "sequence", 0, "number that rises with every release (default: the next one)")
	f.StringVar(&p.release.Channel, "channel", "stable", "channel whose head the release becomes")
	f.StringVar(&p.severity, "severity", "optional", "how much it matters: optional, recommended, security or critical")
	f.BoolVar(&facts.Barrier, "barrier", false, "no update may jump over this release")
	f.StringVar(&facts.Notes, "notes", "", "what is new, for people")
	f.StringVar(&p.file, "release", "", "release file (TOML) with all facts, as docs/RELEASING.md shows; flags go before it")
	f.IntVar(&p.rollout, "rollout", 100, "how many percent of installs take it by themselves, 0 to 100")
	f.StringArrayVar(&p.merge, "config-merge", nil, "path or pattern of settings files whose changes by users are merged")
	f.StringArrayVar(&p.keep, "config-keep", nil, "path or pattern of settings files whose changes by users stay")
	f.IntVar(&p.release.Packs, "packs", 3, "make deltas from so many earlier releases of the channel")
	f.StringVar(&p.provenance.provenance, "provenance", "", "sigstore bundle that says how the tree was built; signed along with the release")
	f.StringVar(&p.require, "require-provenance", "", "verify it first: issuer=URL,identity=NAME")
	f.StringVar(&p.sigstoreRoot, "sigstore-root", "", "trusted_root.json to verify it with (default: fetched from sigstore)")
	f.StringVar(&p.sbom, "sbom", "", "bill of materials, signed along with the release")
	f.IntVar(&p.release.Keep, "keep", defaultKeep, "list so many releases of each channel and platform; 0: all")
	p.making.flags(cmd)
}

func (p *publication) publish(ctx context.Context) (*publisher.Report, error) {
	if err := p.finish(); err != nil {
		return nil, err
	}
	if err := p.readExtras(ctx); err != nil {
		return nil, err
	}
	pub, err := p.signer(ctx)
	if err != nil {
		return nil, err
	}
	return pub.Publish(ctx, p.release)
}

// finish turns the flags into what a Publisher takes.
func (p *publication) finish() (err error) {
	switch p.severity {
	case "optional":
		p.release.Facts.Severity = manifest.Optional
	case string(manifest.Recommended), string(manifest.Security), string(manifest.Critical):
		p.release.Facts.Severity = manifest.Severity(p.severity)
	default:
		return &cli.UsageError{Text: fmt.Sprintf("--severity %s: want optional, recommended, security or critical", p.severity)}
	}
	if p.release.Delta, err = p.making.options(); err != nil {
		return err
	}
	p.release.Delta.Workers = p.work
	if p.release.Keep < 0 {
		return &cli.UsageError{Text: "--keep: want 0 or more"}
	}
	if p.release.Packs <= 0 {
		p.release.Packs = -1 // none; to the library, 0 means the default
	}
	if p.release.Rollout, err = rolloutOf(p.rollout); err != nil {
		return err
	}
	if p.release.Config == nil {
		p.release.Config = map[string]manifest.ConfigRule{}
	}
	for _, path := range p.merge {
		p.release.Config[path] = manifest.MergeConfig
	}
	for _, path := range p.keep {
		p.release.Config[path] = manifest.KeepConfig
	}
	return nil
}

// readFile takes what the flags leave open from the release file.
func (p *publication) readFile(f *pflag.FlagSet) error {
	if p.file == "" {
		return p.required()
	}
	r, err := releasefile.Read(p.file)
	if err != nil {
		return err
	}
	flags, given := p.release.Facts, f.Changed
	p.release.Facts = r.Facts
	facts := &p.release.Facts
	for _, field := range []struct {
		flag string
		to   *string
		from string
	}{
		{"product", &facts.Product, flags.Product},
		{"version", &facts.Version, flags.Version},
		{"platform", &facts.Platform, flags.Platform},
		{"notes", &facts.Notes, flags.Notes},
	} {
		if given(field.flag) || *field.to == "" {
			*field.to = field.from
		}
	}
	facts.Sequence = flags.Sequence
	if given("barrier") {
		facts.Barrier = flags.Barrier
	}
	if !given("channel") && r.Channel != "" {
		p.release.Channel = r.Channel
	}
	if !given("severity") && facts.Severity != manifest.Optional {
		p.severity = string(facts.Severity)
	}
	p.release.Config = r.Config
	return p.required()
}

func (p *publication) required() error {
	if p.release.Facts.Product == "" || p.release.Facts.Version == "" {
		return &cli.UsageError{Text: "want --product and --version, or a --release file with them"}
	}
	return nil
}

// tellPacked lists the deltas that were made, and returns where they start.
func tellPacked(out *cli.Out, r *publisher.Report) (packs []string) {
	for _, p := range r.Packs {
		v := struct {
			From    string `json:"from"`
			Size    int64  `json:"size"`
			Skipped string `json:"skipped,omitempty"`
		}{p.From, p.Size, p.Skipped}
		if p.Skipped != "" {
			out.Item("pack", v, "no delta from %s: %s", p.From, p.Skipped)
			continue
		}
		out.Item("pack", v, "delta from %s: %s", p.From, cli.Size(p.Size))
		tellFull(out, p.Files)
		packs = append(packs, p.From)
	}
	return packs
}

// tellLimit tells when a release is not for all, though it is the newest.
func tellLimit(out *cli.Out, channel string, r *publisher.Report) {
	if v := r.Recommended; v != "" && v != r.Release.Version {
		out.Note("Channel %s recommends %s: installs go no further by themselves until mkrelease mark --recommended.", channel, v)
	}
}

func tellReport(out *cli.Out, channel string, r *publisher.Report) error {
	packs := tellPacked(out, r)
	tellLimit(out, channel, r)
	v := published{
		Product: r.Release.Product, Version: r.Release.Version, Sequence: r.Release.Sequence, Platform: r.Release.Platform,
		Channel: channel, Already: r.Already, Files: r.Files, Content: r.Content,
		Objects: r.Objects, ObjectBytes: r.ObjectBytes, Written: r.Written,
	}
	name := r.Release.Product + " " + r.Release.Version
	if r.Already {
		return out.Done(cli.OK, v, "%s is published on %s already", name, channel)
	}
	from := ""
	if len(packs) > 0 {
		from = ", deltas from " + strings.Join(packs, ", ")
	}
	return out.Done(cli.OK, v, "published %s on %s: %s with %s; wrote %s: %s%s", name, channel,
		cli.Count(r.Files, "file", "files"), cli.Size(r.Content), cli.Size(r.Written),
		cli.Count(r.Objects, "new object", "new objects"), from)
}
