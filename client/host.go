package client

import (
	"bytes"
	"context"
	"os/exec"
	"runtime"
	"time"

	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// host finds out what a release asks about, and nothing else.
func (c *Client) host(q *manifest.Requires, installed *manifest.Release) lifecycle.Host {
	h := lifecycle.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, Installed: versionOf(installed)}
	if q == nil {
		return h
	}
	if q.MinOS != "" {
		h.Version = systemVersion()
	}
	if q.Memory > 0 {
		h.Memory = mainMemory()
	}
	if q.Disk > 0 {
		h.Disk = freeSpace(c.o.Dir)
	}
	for _, name := range q.Commands {
		if _, err := exec.LookPath(name); err == nil {
			h.Commands = append(h.Commands, name)
		}
	}
	h.Packages = map[string]string{}
	for _, p := range q.Packages {
		if v := packageVersion(p.Name); v != "" {
			h.Packages[p.Name] = v
		}
	}
	return h
}

// packageTime bounds how long a package manager is asked.
const packageTime = 30 * time.Second

// packageVersion asks the package managers that there are; "" means that none
// has the package.
func packageVersion(name string) string {
	if name == "" || name[0] == '-' {
		return "" // it would be taken for a flag
	}
	for _, q := range [][]string{
		{"dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}\n", name},
		{"rpm", "--query", "--queryformat=installed %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n", name},
		{"apk", "list", "--installed", "--manifest", name},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), packageTime)
		out, err := exec.CommandContext(ctx, q[0], q[1:]...).Output()
		cancel()
		if err != nil {
			continue
		}
		line, _, _ := bytes.Cut(out, []byte("\n"))
		status, version, _ := bytes.Cut(line, []byte(" "))
		if s := string(status); s == "installed" || s == name {
			return string(version)
		}
	}
	return ""
}
