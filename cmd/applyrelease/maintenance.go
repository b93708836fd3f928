package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client/gate"
	"github.com/treegraft-dev/treegraft/client/gate/httpgate"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

// modeOn is the summary of maintenance. The token is there only once.
type modeOn struct {
	On          bool           `json:"on"`
	Maintenance *publicMode    `json:"maintenance,omitempty"`
	Token       string         `json:"token,omitempty"`
	Closed      string         `json:"closed,omitempty"` // the gate's state
	Programs    []gate.Process `json:"programs,omitempty"`
}

// publicMode is maintenance mode as others may know it.
type publicMode struct {
	Message    string    `json:"message,omitempty"`
	RetryAfter int       `json:"retry_after,omitempty"`
	Since      time.Time `json:"since"`
	Page       string    `json:"page,omitempty"`
}

func maintenanceVerb(out *cli.Out) *cobra.Command {
	var m gate.Maintenance
	var retry time.Duration
	cmd := &cobra.Command{
		Use:   "maintenance on|off|status DIR",
		Short: "Turn users away, and let administrators in",
		Long: `Maintenance turns maintenance mode on or off, or says whether it is on. Programs
that ask at the gate (package httpgate) then answer 503, with Retry-After and a
page. "on" prints a token: whoever shows that is let in, by the header
` + httpgate.BypassHeader + `, the cookie ` + httpgate.BypassCookie + `, or the form on the page. It
is stored as a digest only. "On" once more makes another, and changes what is
said anew.

With --page, a static page is written as well, for a web server in front that
shows a file where there is one; "off" removes it.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 || args[0] != "on" && args[0] != "off" && args[0] != "status" {
				return errors.New("want on, off or status, and one folder, the install tree")
			}
			return nil
		},
		ValidArgs: []string{"on", "off", "status"},
		RunE: func(_ *cobra.Command, args []string) error {
			dir := args[1]
			if _, err := os.Stat(filepath.Join(dir, atomicfs.StateDir)); err != nil {
				return fmt.Errorf("%s: no install tree: %w", dir, err)
			}
			switch args[0] {
			case "on":
				m.RetryAfter = int(retry / time.Second)
				return startMaintenance(out, dir, m)
			case "off":
				return endMaintenance(out, dir)
			}
			return maintenanceStatus(out, dir)
		},
	}
	cmd.Flags().StringVar(&m.Message, "message", "", "what users are told")
	cmd.Flags().DurationVar(&retry, "retry-after", 0, `when they are told to come back, such as "10m"`)
	cmd.Flags().StringVar(&m.Page, "page", "", "also write a static page to this file")
	return cmd
}

func startMaintenance(out *cli.Out, dir string, m gate.Maintenance) (err error) {
	before, err := gate.LookMaintenance(dir)
	if err != nil {
		out.Note("%v: it is replaced", err)
	}
	if before != nil {
		m.Message, m.Page = cmp.Or(m.Message, before.Message), cmp.Or(m.Page, before.Page)
		m.RetryAfter = cmp.Or(m.RetryAfter, before.RetryAfter)
	}
	if m.Page != "" {
		if m.Page, err = filepath.Abs(m.Page); err != nil {
			return err
		}
		if err := writePage(m); err != nil {
			return err
		}
	}
	token, err := gate.StartMaintenance(dir, m)
	if err != nil {
		return err
	}
	now, err := gate.LookMaintenance(dir)
	if err != nil {
		return err
	}
	return out.Done(cli.OK, modeOn{On: true, Maintenance: public(now), Token: token},
		"maintenance mode is on; the token for administrators is\n%s", token)
}

func public(m *gate.Maintenance) *publicMode {
	return &publicMode{Message: m.Message, RetryAfter: m.RetryAfter, Since: m.Since, Page: m.Page}
}

// pageMark is how a page of ours is known, lest another file is overwritten.
const pageMark = "<!-- treegraft: maintenance -->\n"

func writePage(m gate.Maintenance) error {
	if err := ourPage(m.Page); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write page: %w", err)
	}
	n := httpgate.Notice{State: "maintenance", Message: m.Message, RetryAfter: max(m.RetryAfter, 30)}
	return atomicfs.WriteFile(m.Page, append(httpgate.Page(n, false), pageMark...), 0o644)
}

// ourPage returns an error unless the file is a page that was written here.
func ourPage(name string) error {
	b, err := os.ReadFile(name)
	if err == nil && !bytes.HasSuffix(b, []byte(pageMark)) {
		err = fmt.Errorf("%s: not a page of maintenance mode, so it stays", name)
	}
	return err
}

func endMaintenance(out *cli.Out, dir string) error {
	m, err := gate.LookMaintenance(dir)
	if err != nil {
		out.Note("%v: it is removed", err)
	}
	if m != nil && m.Page != "" {
		err := ourPage(m.Page)
		if err == nil {
			err = os.Remove(m.Page)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove page: %w", err)
		}
	}
	if err := gate.EndMaintenance(dir); err != nil {
		return err
	}
	return out.Done(cli.OK, modeOn{}, "maintenance mode is off")
}

func maintenanceStatus(out *cli.Out, dir string) error {
	m, err := gate.LookMaintenance(dir)
	if err != nil {
		return err
	}
	var s modeOn
	if s.Programs, err = gate.Participants(dir); err != nil {
		return err
	}
	if m == nil {
		out.Say("maintenance mode is off")
	} else {
		s.On, s.Maintenance = true, public(m)
		out.Say("maintenance mode is on since %s%s", m.Since.Local().Format(time.DateTime), ifAny(": ", m.Message))
	}
	if c := gate.Look(dir); c != nil {
		s.Closed = c.State
		out.Say("the gate is closed: %s%s", c.State, ifAny(", ", c.Phase))
	}
	for _, p := range s.Programs {
		out.Say("%-12s %v", p.State, p)
	}
	return out.End(cli.OK, s)
}

func ifAny(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}
