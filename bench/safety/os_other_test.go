//go:build !linux

package main

import "errors"

func syncClosed() error { return errors.ErrUnsupported }
