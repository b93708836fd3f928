package manifest

import (
	"fmt"
	"regexp"
	"runtime"

	"golang.org/x/mod/semver"
)

// AnyPlatform is the platform of a release that fits every host.
const AnyPlatform = "any"

// HostPlatform returns the platform of the running program, GOOS-GOARCH.
func HostPlatform() string { return runtime.GOOS + "-" + runtime.GOARCH }

// Names become parts of paths in the repository and names of signed roles, so
// they keep to what every file system and URL takes unchanged.
var (
	namePattern     = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$`)
	platformPattern = regexp.MustCompile(`^[a-z0-9]+-[a-z0-9]+$`)
)

// reservedNames are the roles of the signed metadata.
var reservedNames = map[string]bool{"root": true, "timestamp": true, "snapshot": true, "targets": true}

// CheckName reports what is wrong with the name of a product or channel: it
// has 1 to 64 characters of a-z, 0-9, ".", "_" and "-", begins and ends with a
// letter or digit, and names neither a role of the signed metadata nor a
// Windows device.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("name %.80q: want 1 to 64 of a-z 0-9 . _ - with a letter or digit at both ends", name)
	}
	if reservedNames[name] {
		return fmt.Errorf("name %q: reserved for a role of the signed metadata", name)
	}
	if isDevice(name) {
		return fmt.Errorf("name %q: names a Windows device", name)
	}
	return nil
}

// CheckVersion reports what is wrong with a version: it is a full semantic
// version (three numbers) without a leading "v" and without build metadata,
// of at most 64 characters.
func CheckVersion(version string) error {
	v := "v" + version
	if len(version) > 64 || !semver.IsValid(v) || semver.Canonical(v) != v {
		return fmt.Errorf("version %.80q: want MAJOR.MINOR.PATCH[-PRERELEASE] as in semver.org", version)
	}
	return nil
}

// CompareVersions orders two valid versions as semver.org says: -1, 0 or +1.
func CompareVersions(a, b string) int { return semver.Compare("v"+a, "v"+b) }

// CheckPlatform reports what is wrong with a platform: it is "any" or
// GOOS-GOARCH.
func CheckPlatform(platform string) error {
	if platform != AnyPlatform && (len(platform) > 40 || !platformPattern.MatchString(platform)) {
		return fmt.Errorf("platform %.80q: want %q or GOOS-GOARCH", platform, AnyPlatform)
	}
	return nil
}

// StoredName returns the name of a release's manifest in the signed metadata.
func (r *Release) StoredName() string { return "manifests/" + r.stem() + ".zst" }

// IndexName returns the name of a release's index in the signed metadata.
func (r *Release) IndexName() string { return "indexes/" + r.stem() + ".json" }

func (r *Release) stem() string { return r.Product + "/" + r.Version + "/" + r.Platform }

// ObjectsName returns where a repository keeps an objects listing.
func ObjectsName(listing Digest) string { return "objects/lists/" + listing.String() }

// ObjectName returns where a repository keeps the full content of a file.
func ObjectName(content Digest) string {
	s := content.String()
	return "objects/" + s[:2] + "/" + s
}

// PackName returns where a repository keeps a pack with deltas from one
// release to another; head is the digest of the pack's head.
func PackName(from, to *Release, head Digest) string {
	return "packs/" + to.Product + "/" + to.Platform + "/" + from.Version + "-" + to.Version + "-" + head.String()[:16]
}
