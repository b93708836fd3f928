package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/treegraft-dev/treegraft/internal/smallfile"
)

// maxConfig bounds the bytes of a config file.
const maxConfig = 1 << 20

// fixed are the flags that neither the environment nor a file may set: help is
// for the moment, and what a force or a downgrade overrides should be seen on
// the command line.
var fixed = []string{"help", "force", "downgrade"}

// configure sets the flags of cmd that the command line did not, from the
// environment, or else from the config file.
func (p *Program) configure(root, cmd *cobra.Command) error {
	file, config, err := p.readConfig()
	if err != nil {
		return err
	}
	if err := checkConfig(root, file, config); err != nil {
		return err
	}
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || slices.Contains(fixed, f.Name) {
			return
		}
		env := p.envName(f.Name)
		if v := os.Getenv(env); v != "" {
			if err := cmd.Flags().Set(f.Name, v); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", env, err))
			}
			return
		}
		for _, v := range config[f.Name] {
			if err := cmd.Flags().Set(f.Name, v); err != nil {
				errs = append(errs, fmt.Errorf("read %s: %s: %w", file, f.Name, err))
			}
		}
	})
	return errors.Join(errs...)
}

// readConfig returns the config file's name and what it sets: for each flag one
// value or several.
func (p *Program) readConfig() (file string, config map[string][]string, err error) {
	file = os.Getenv(p.envName("config"))
	named := file != ""
	if !named {
		dir := os.Getenv("XDG_CONFIG_HOME")
		if dir == "" {
			if dir, err = os.UserConfigDir(); err != nil {
				return "", nil, nil // no home, no settings
			}
		}
		file = filepath.Join(dir, "treegraft", p.Name+".json")
	}
	// HOME may be that of somebody else, as with runuser(1): then nobody can say
	// whether there are settings, and they are not for this user.
	if _, e := os.Stat(file); !named && (errors.Is(e, fs.ErrNotExist) || errors.Is(e, fs.ErrPermission)) {
		return file, nil, nil
	}
	b, err := smallfile.Read(file, maxConfig)
	if err != nil {
		return file, nil, err
	}
	if config, err = parseConfig(b); err != nil {
		return file, nil, fmt.Errorf("read %s: %w", file, err)
	}
	return file, config, nil
}

func parseConfig(b []byte) (map[string][]string, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var raw map[string]any
	if err := dec.Decode(&raw); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("want one JSON object, got more")
	}
	config := make(map[string][]string, len(raw))
	for name, value := range raw {
		list, several := value.([]any)
		if !several {
			list = []any{value}
		}
		for _, v := range list {
			switch v.(type) {
			case string, bool, json.Number:
				config[name] = append(config[name], fmt.Sprint(v))
			default:
				return nil, fmt.Errorf("%s: want a string, number, true or false, or a list of these, got %v", name, v)
			}
		}
	}
	return config, nil
}

// checkConfig refuses settings that no verb has: they are spelt wrong.
func checkConfig(root *cobra.Command, file string, config map[string][]string) error {
	known := map[string]bool{}
	collect(root, known)
	var errs []error
	for name := range config {
		switch {
		case slices.Contains(fixed, name):
			errs = append(errs, fmt.Errorf("read %s: %s: can only be given on the command line", file, name))
		case !known[name]:
			errs = append(errs, fmt.Errorf("read %s: %s: no verb has a setting of this name", file, name))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return bytes.Compare([]byte(a.Error()), []byte(b.Error())) })
	return errors.Join(errs...)
}

func collect(cmd *cobra.Command, known map[string]bool) {
	add := func(f *pflag.Flag) { known[f.Name] = true }
	cmd.Flags().VisitAll(add)
	cmd.PersistentFlags().VisitAll(add)
	for _, sub := range cmd.Commands() {
		collect(sub, known)
	}
}
