package gate

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
)

const maintenanceName = "maintenance"

// Maintenance is a person's word that the application is not for its users now.
// Unlike a closed gate it does not keep programs out: they run, turn users away
// (see package httpgate), and let administrators in, who know the token.
type Maintenance struct {
	Message    string    `json:"message,omitempty"` // for users
	RetryAfter int       `json:"retry_after,omitempty"`
	Since      time.Time `json:"since"`
	Page       string    `json:"page,omitempty"` // file of a static page that is there meanwhile

	// TokenDigest is the SHA-256 of the token, in hexadecimal digits.
	TokenDigest string `json:"token_sha256"`
}

// Admits reports whether the token is that of an administrator, in a time that
// tells nothing of the right one.
func (m *Maintenance) Admits(token string) bool {
	want, err := hex.DecodeString(m.TokenDigest)
	got := sha256.Sum256([]byte(token))
	return err == nil && subtle.ConstantTimeCompare(got[:], want) == 1
}

// StartMaintenance turns maintenance mode on, or changes what it says. It fills
// in the time, and returns the token for administrators: a new one each time.
func StartMaintenance(dir string, m Maintenance) (token string, err error) {
	token = rand.Text()
	digest := sha256.Sum256([]byte(token))
	m.TokenDigest, m.Since = hex.EncodeToString(digest[:]), time.Now().UTC().Truncate(time.Second)
	b, err := json.MarshalIndent(&m, "", "\t")
	if err == nil {
		err = atomicfs.WriteFile(maintenancePath(dir), append(b, '\n'), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("start maintenance: %w", err)
	}
	return token, nil
}

// EndMaintenance turns maintenance mode off. It is no error if that is off.
func EndMaintenance(dir string) error {
	if err := os.Remove(maintenancePath(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end maintenance: %w", err)
	}
	return nil
}

// LookMaintenance returns what is said about maintenance mode, or nil if it is
// off. If that cannot be read, the mode is on, and the error says why.
func LookMaintenance(dir string) (*Maintenance, error) {
	name := maintenancePath(dir)
	b, err := readSmall(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var m Maintenance
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return &Maintenance{}, fmt.Errorf("read %s: %w", name, err)
	}
	m.Message = clip(m.Message)
	return &m, nil
}

func maintenancePath(dir string) string {
	return filepath.Join(dir, atomicfs.StateDir, maintenanceName)
}
