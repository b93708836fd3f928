package lifecycle

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/treegraft-dev/treegraft/manifest"
)

// inRollout reports whether an install is among those that take a release by
// themselves. For each release an install has a number that is as good as
// random: the first 8 bytes of SHA-256 over its id and the digest of the
// release's manifest, big-endian, over 2^64. It is in a rollout to P percent if
// 100 times that number is below P. So no server has to know the installs, who
// is in at 10 % still is at 20 %, and it is not always the same ones that are
// first.
func inRollout(install []byte, release manifest.Digest, percent int) bool {
	h := sha256.New()
	h.Write(install)
	h.Write(release[:])
	number, _ := bits.Mul64(binary.BigEndian.Uint64(h.Sum(nil)), 100)
	return int(number) < percent
}

// isCritical reports whether an install must have a release: it is critical for
// all, or for those older than a version.
func isCritical(l *manifest.Listing, installed *manifest.Release) bool {
	return l.Severity == manifest.Critical ||
		l.CriticalSince != "" && installed != nil && manifest.CompareVersions(installed.Version, l.CriticalSince) < 0
}
