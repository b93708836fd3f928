//go:build unix

package process

import (
	"bufio"
	"context"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// What a shell has started ends with the shell.
func TestGroup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "sleep 3600 & echo $!; wait")
	Group(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	child, err := Of(pid)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	cmd.Wait()
	if err := child.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
