package lifecycle

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/treegraft-dev/treegraft/manifest"
)

// Data is the version of data. Versions begin at 1; the zero value means that
// there is no data yet.
type Data uint64

// String returns the number, or "none".
func (d Data) String() string {
	if d == 0 {
		return "none"
	}
	return strconv.FormatUint(uint64(d), 10)
}

// ParseData reads what String returns, and nothing else.
func ParseData(s string) (Data, error) {
	if s == "none" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 53)
	if err != nil {
		return 0, fmt.Errorf("data version %.40q: want a whole number, or none", s)
	}
	return Data(n), nil
}

// MarshalJSON writes what String returns.
func (d Data) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Data) UnmarshalJSON(b []byte) error {
	var s string
	err := json.Unmarshal(b, &s)
	if err == nil {
		*d, err = ParseData(s)
	}
	return err
}

// Step is one migration, up or down, of a chain.
type Step struct {
	Command []string
	From    Data // what the data is before, and what the command is told
	To      Data
	Once    bool
	Seconds int
}

// MismatchError says that data and a release do not go together.
type MismatchError struct {
	Data     Data
	Min, Max Data
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("the release works with data of version %v to %v, got %v", e.Min, e.Max, e.Data)
}

// Chain returns the migrations of a release that data still needs, in order.
// It fails with a *[MismatchError] where the release cannot work with what they
// lead to. Data that is none needs all of them, and is none too if there are
// none: then the program makes its own.
func Chain(data Data, r *manifest.Release) ([]Step, error) {
	var chain []Step
	at := data
	for _, m := range r.Migrations {
		if v := Data(m.Version); v > at {
			chain = append(chain, Step{Command: m.Up, From: at, To: v, Once: m.Once, Seconds: m.Seconds})
			at = v
		}
	}
	if at == 0 {
		return nil, nil
	}
	return chain, accepts(r, at)
}

// accepts returns an error if a release cannot work with data. One that says no
// range, but has migrations, knows nothing newer than the last of them.
func accepts(r *manifest.Release, data Data) error {
	switch s := r.Schema; {
	case s != nil && (data < Data(s.Min) || data > Data(s.Max)):
		return &MismatchError{data, Data(s.Min), Data(s.Max)}
	case s == nil && len(r.Migrations) > 0 && data > Data(r.Migrations[len(r.Migrations)-1].Version):
		return &MismatchError{data, 0, Data(r.Migrations[len(r.Migrations)-1].Version)}
	}
	return nil
}

// OneWayError says that a migration has no way back, and that the release to go
// back to cannot work with what it made.
type OneWayError struct {
	Version Data
	Err     error // why the older release does not take it
}

func (e *OneWayError) Error() string {
	return fmt.Sprintf("the migration to data version %v has no way back: %v", e.Version, e.Err)
}

func (e *OneWayError) Unwrap() error { return e.Err }

var errOther = errors.New("it was made for other data")

// WayBack returns the steps that take data back to what it was, with the
// migrations of r, for the release that is to come back, which may be nil for
// none. Where a step has no way back the chain ends there, if that release
// works with what is reached.
func WayBack(data, was Data, r, to *manifest.Release) ([]Step, error) {
	var chain []Step
	at := data
	for _, m := range slices.Backward(r.Migrations) {
		v := Data(m.Version)
		if v > at || v <= was {
			continue
		}
		if len(m.Down) == 0 {
			break
		}
		below := was
		for _, p := range r.Migrations {
			if p.Version < m.Version {
				below = max(below, Data(p.Version))
			}
		}
		chain = append(chain, Step{Command: m.Down, From: at, To: below, Once: m.Once, Seconds: m.Seconds})
		at = below
	}
	if at <= was || to == nil {
		return chain, nil
	}
	err := accepts(to, at)
	if err == nil && to.Schema == nil {
		err = errOther // it says nothing of newer data, so it cannot be trusted with it
	}
	if err != nil {
		return nil, &OneWayError{at, err}
	}
	return chain, nil
}
