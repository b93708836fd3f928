package demo

import (
	_ "embed" // the texts of the releases
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// The texts of the two releases. The name of an entry says what it is:
//
//	-- bin/start 0755 --       a file with its mode; without one, 0644
//	-- plugins/ --             an empty folder
//	-- current -> v1 --        a symlink
var (
	//go:embed 1.0.0.txtar
	oldTexts []byte
	//go:embed 1.1.0.txtar
	newTexts []byte
)

// engineName is the file that is not text.
const engineName = "bin/engine"

// writeTree makes the tree of a release.
func writeTree(dir, version string) error {
	texts := oldTexts
	if version == newVersion {
		texts = newTexts
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range txtar.Parse(texts).Files {
		if err := writeEntry(root, f); err != nil {
			return fmt.Errorf("write %s: %w", f.Name, err)
		}
	}
	return writeFile(root, engineName, engine(version), 0o755)
}

func writeEntry(root *os.Root, f txtar.File) error {
	if name, link, ok := strings.Cut(f.Name, " -> "); ok {
		return root.Symlink(link, name)
	}
	if name, ok := strings.CutSuffix(f.Name, "/"); ok {
		return root.MkdirAll(name, 0o755)
	}
	name, digits, ok := strings.Cut(f.Name, " ")
	if !ok {
		digits = "644"
	}
	mode, err := strconv.ParseUint(digits, 8, 9)
	if err != nil {
		return err
	}
	return writeFile(root, name, f.Data, fs.FileMode(mode))
}

// writeFile writes a file with exactly this mode, whatever the umask.
func writeFile(root *os.Root, name string, data []byte, mode fs.FileMode) error {
	if err := root.MkdirAll(filepath.Dir(filepath.FromSlash(name)), 0o755); err != nil {
		return err
	}
	return errors.Join(root.WriteFile(name, data, 0o600), root.Chmod(name, mode))
}

// engine makes up a program of about 300 KB: functions of random length that
// call each other by their addresses. In the new version some have grown, so
// that all behind them move, and with them the addresses of calls: what
// happens when a real program is built again.
func engine(version string) []byte {
	const functions = 2000
	random := rand.New(rand.NewPCG(1, 2))
	bodies := make([][]byte, functions)
	calls := make([]int, functions)
	for i := range bodies {
		bodies[i] = make([]byte, 60+random.IntN(180))
		for j := range bodies[i] {
			bodies[i][j] = byte(random.ExpFloat64() * 24)
		}
		calls[i] = random.IntN(functions)
	}
	if version == newVersion {
		for _, i := range []int{120, 700, 701, 1500} {
			bodies[i] = append(bodies[i], "grown in "+version...)
		}
	}
	starts := make([]uint32, functions)
	var at uint32
	for i, b := range bodies {
		starts[i] = at
		at += uint32(len(b)) + 4
	}
	program := make([]byte, 0, at)
	for i, b := range bodies {
		program = append(program, b...)
		program = binary.LittleEndian.AppendUint32(program, starts[calls[i]])
	}
	return program
}
