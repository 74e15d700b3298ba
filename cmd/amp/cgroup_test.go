package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// cgroup is a memory cgroup, as the kernel gives one to a container: version 1, or version 2.
type cgroup struct {
	dir               string
	limit, peak, kill string // names of its files
}

// newCgroup makes a cgroup with a limit of memory, in bytes. It skips the test where it may not.
func newCgroup(t *testing.T, limit int64) *cgroup {
	t.Helper()
	g := &cgroup{"/sys/fs/cgroup", "memory.max", "memory.peak", "memory.events"}
	if _, err := os.Stat("/sys/fs/cgroup/memory/memory.limit_in_bytes"); err == nil {
		g = &cgroup{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"}
	}
	dir, err := os.MkdirTemp(g.dir, "amp-test-")
	if err != nil {
		t.Skipf("no memory cgroup can be made here, which takes root: %v", err)
	}
	g.dir = dir
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("removing the cgroup: %v", err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, g.limit), []byte(strconv.FormatInt(limit, 10)), 0o600); err != nil {
		t.Skipf("the cgroup takes no limit of memory: %v", err)
	}
	return g
}

// command is a program that runs in the cgroup from its first instruction on.
func (g *cgroup) command(name string) *exec.Cmd {
	return exec.Command("sh", "-c", `echo $$ > "$1/cgroup.procs" && exec "$2"`, "sh", g.dir, name)
}

// most is the most memory that the cgroup ever used, in bytes, and how often the kernel killed a process in it.
func (g *cgroup) most(t *testing.T) (bytes int64, kills int) {
	t.Helper()
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(g.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(content))
	}
	bytes, err := strconv.ParseInt(read(g.peak), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(read(g.kill)) {
		if _, err := fmt.Sscanf(line, "oom_kill %d", &kills); err == nil {
			return bytes, kills
		}
	}
	t.Fatal("the cgroup does not tell how often it killed a process")
	return 0, 0
}
