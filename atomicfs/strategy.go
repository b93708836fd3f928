package atomicfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Strategy says how a change becomes visible.
type Strategy uint8

// The strategies. InPlace changes one entry after the other, within
// milliseconds. The others make the change in a twin of the tree, made of hard
// links, and then put the twin in the tree's place in one step, so that no
// reader ever sees a mix: Exchange where the tree is a folder, Versioned where
// it is a symlink, as CURRENT -> versions/1.4.0. The package comment says what
// that costs.
const (
	InPlace Strategy = iota
	Exchange
	Versioned
)

// String returns the name of s, as ParseStrategy reads it.
func (s Strategy) String() string {
	switch s {
	case InPlace:
		return "inplace"
	case Exchange:
		return "exchange"
	case Versioned:
		return "versioned"
	}
	return fmt.Sprintf("strategy %d", uint8(s))
}

// ParseStrategy reads the name of a strategy; "" is InPlace.
func ParseStrategy(name string) (Strategy, error) {
	for _, s := range []Strategy{InPlace, Exchange, Versioned} {
		if name == s.String() || name == "" {
			return s, nil
		}
	}
	return 0, fmt.Errorf("strategy %q: want inplace, exchange or versioned", name)
}

// change runs a commit or rollback on the tree itself, or on its twin.
func (t *Tree) change(ctx context.Context, id string, run func(t *Tree) (Result, error)) (Result, error) {
	if t.strategy == InPlace {
		return run(t)
	}
	res, err := t.changeTwin(ctx, id, run)
	var no *noTwinError
	if !errors.As(err, &no) {
		res.Strategy = t.strategy
		return res, err
	}
	res, err = run(t)
	res.Fallback = no
	return res, err
}

// noTwinError says why a tree cannot have a twin, or not change places with
// it. The tree was not touched.
type noTwinError struct {
	strategy Strategy
	err      error
}

func (e *noTwinError) Error() string {
	return fmt.Sprintf("not possible here: %s: %v", e.strategy, e.err)
}

func (e *noTwinError) Unwrap() error { return e.err }

// asNoTwin wraps those errors that only say that a twin cannot be had here.
func asNoTwin(s Strategy, err error) error {
	for _, e := range []error{
		errMount, errNotPlaced, errInTheWay, errors.ErrUnsupported, fs.ErrPermission,
		syscall.EBUSY, syscall.EROFS, syscall.EINVAL,
	} {
		if errors.Is(err, e) {
			return &noTwinError{s, err}
		}
	}
	if noLinks(err) {
		return &noTwinError{s, err}
	}
	return err
}
