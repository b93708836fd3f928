package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain builds both commands, a key service and an application for them, and
// puts them first on the PATH.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "treegraft-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// Never with the race detector, which makes hundreds of runs too slow: the
	// packages have tests of their own for that.
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator),
		"../../cmd/mkrelease", "../../cmd/applyrelease")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the commands:", err)
		return 1
	}
	for program, folder := range map[string]string{"sigstore-kms-drawer": "../kmsplugin", "gateapp": "../gateapp"} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, program+exeSuffix()), folder)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n", program, err)
			return 1
		}
	}
	if err := writeNobody(dir); err != nil {
		fmt.Fprintln(os.Stderr, "write nobody:", err)
		return 1
	}
	// A build for a machine whose administrator has a policy, in policy.json.
	policed := exec.Command("go", "build", "-o", filepath.Join(dir, "policed"+exeSuffix()), "-ldflags=-X main.policy=policy.json", "../../cmd/applyrelease")
	policed.Stderr = os.Stderr
	if err := policed.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build with a policy:", err)
		return 1
	}
	if err := os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func exeSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

func TestScripts(t *testing.T) { runScripts(t, "testdata/script") }

// TestSeeds has one script for each wish of the systems that this project was
// made for, by the number it has in docs/LIFECYCLE.md.
func TestSeeds(t *testing.T) { runScripts(t, "testdata/seeds") }

func runScripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", os.Getenv("PATH"))
			env.Setenv("MKRELEASE_PASSPHRASE", "correct horse")
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, ".config"))
			if err := os.Chmod(filepath.Dir(env.WorkDir), 0o711); err != nil { // for nobody
				return err
			}
			env.Values[heldKey{}] = &held{requests: new(atomic.Int64)}
			return nil
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     cmdExits,
			"flip":      cmdFlip,
			"treecmp":   cmdTreecmp,
			"serve":     cmdServe,
			"smallfs":   cmdSmallfs,
			"bind":      cmdBind,
			"unmount":   cmdUnmount,
			"protect":   cmdProtect,
			"served":    cmdServed,
			"jsonlines": cmdJSONLines,
			"lock":      cmdLock,
			"unlock":    cmdUnlock,
		},
	})
}

func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Getuid() == 0, nil
	case "mounts":
		return canMount(), nil
	case "protects":
		return canProtect(), nil
	case "nobody":
		return canBeNobody(), nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}
