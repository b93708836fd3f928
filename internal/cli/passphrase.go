package cli

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// maxPassphrase bounds the bytes of a passphrase.
const maxPassphrase = 4 << 10

// Passphrase says where a passphrase may come from, in this order.
type Passphrase struct {
	File   string // its first line; may be ""
	Env    string // name of a variable
	Prompt string // what to ask at the terminal
	New    bool   // ask twice
}

// Passphrase returns a passphrase, never an empty one.
func (o *Out) Passphrase(p Passphrase) ([]byte, error) {
	pass, err := o.find(p)
	if err != nil {
		return nil, err
	}
	if len(pass) == 0 {
		return nil, errors.New("the passphrase is empty")
	}
	return pass, nil
}

func (o *Out) find(p Passphrase) ([]byte, error) {
	if p.File != "" {
		return passphraseFile(p.File)
	}
	if v := os.Getenv(p.Env); v != "" {
		return []byte(v), nil
	}
	if o.stdin == nil || !isTerminal(o.stdin) {
		return nil, &UsageError{fmt.Sprintf("no passphrase: set %s, or give --passphrase-file, or use a terminal", p.Env)}
	}
	pass, err := o.ask(p.Prompt + ": ")
	if err != nil || !p.New {
		return pass, err
	}
	again, err := o.ask("The same again: ")
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(pass, again) != 1 {
		return nil, errors.New("the two passphrases differ")
	}
	return pass, nil
}

func (o *Out) ask(prompt string) ([]byte, error) {
	fmt.Fprint(o.stderr, prompt)
	pass, err := term.ReadPassword(int(o.stdin.Fd()))
	fmt.Fprintln(o.stderr)
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	return pass, nil
}

// passphraseFile returns the first line of a file.
func passphraseFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPassphrase))
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// HasEnv reports whether a variable is set to something.
func HasEnv(name string) bool { return os.Getenv(name) != "" }
