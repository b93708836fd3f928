package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// clock reads a FAKETIME: empty, or how far the clock is off ("+18d", "-3600"),
// or a moment in local time at which it stands ("2026-03-01 12:00:00") or from
// which it goes on ("@2026-03-01 12:00:00").
func clock(fake string) (func() time.Time, error) {
	if fake == "" {
		return time.Now, nil
	}
	if fake[0] == '+' || fake[0] == '-' {
		off, err := offset(fake)
		return func() time.Time { return time.Now().Add(off) }, err
	}
	moment, err := time.ParseInLocation(time.DateTime, strings.TrimPrefix(fake, "@"), time.Local)
	if err != nil {
		return nil, fmt.Errorf("read FAKETIME: %w", err)
	}
	if fake[0] != '@' {
		return func() time.Time { return moment }, nil
	}
	off := time.Until(moment)
	return func() time.Time { return time.Now().Add(off) }, nil
}

func offset(fake string) (time.Duration, error) {
	unit := time.Second
	number := fake
	switch fake[len(fake)-1] {
	case 'm':
		unit = time.Minute
	case 'h':
		unit = time.Hour
	case 'd':
		unit = 24 * time.Hour
	case 'y':
		unit = 365 * 24 * time.Hour
	}
	if unit != time.Second || strings.HasSuffix(fake, "s") {
		number = fake[:len(fake)-1]
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n*float64(unit) > 1<<62 || n*float64(unit) < -1<<62 {
		return 0, fmt.Errorf("read FAKETIME %q: want a number of s, m, h, d or y", fake)
	}
	return time.Duration(n * float64(unit)), nil
}
