// Package cgroup makes memory cgroups, in which tests run programs with the memory that they are shipped with. No program that
// is shipped links it.
package cgroup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Group is a memory cgroup, as the kernel gives one to a container: version 1, or version 2.
type Group struct {
	dir         string
	peak, kills string // names of its files
}

const root = "/sys/fs/cgroup"

// New makes a cgroup with a limit in bytes and without swap. Its name begins with prefix. The error says what is missing: root,
// or a kernel that limits memory in this way.
func New(prefix string, limit int64) (*Group, error) {
	g := &Group{dir: root, peak: "memory.peak", kills: "memory.events"}
	most, swap := "memory.max", "memory.swap.max"
	if _, err := os.Stat(root + "/memory/memory.limit_in_bytes"); err == nil {
		g = &Group{dir: root + "/memory", peak: "memory.max_usage_in_bytes", kills: "memory.oom_control"}
		most, swap = "memory.limit_in_bytes", "memory.swappiness"
	} else {
		_ = os.WriteFile(root+"/cgroup.subtree_control", []byte("+memory"), 0) // it may be so already; if not, memory.max is missing
	}
	dir, err := os.MkdirTemp(g.dir, prefix)
	if err != nil {
		return nil, fmt.Errorf("making a memory cgroup, which needs root: %w", err)
	}
	g.dir = dir
	if err := os.WriteFile(filepath.Join(dir, most), []byte(strconv.FormatInt(limit, 10)), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("limiting memory: %w", err), g.Remove())
	}
	if err := os.WriteFile(filepath.Join(dir, swap), []byte("0"), 0); err != nil && !errors.Is(err, os.ErrNotExist) { // some kernels have no swap
		return nil, errors.Join(fmt.Errorf("limiting swap: %w", err), g.Remove())
	}
	return g, nil
}

// Command is a program that runs in the cgroup from its first instruction on: a shell enters it and becomes the program.
func (g *Group) Command(program string, args ...string) *exec.Cmd {
	return exec.Command("/bin/sh", append([]string{"-c", `echo $$ > "$0"/cgroup.procs && exec "$@"`, g.dir, program}, args...)...)
}

// Peak is the most memory that the cgroup held, in bytes: all that counts against the limit, also the kernel's.
func (g *Group) Peak() (int64, error) {
	b, err := os.ReadFile(filepath.Join(g.dir, g.peak))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

// Kills is how often the kernel ended a process of the cgroup because memory ran out.
func (g *Group) Kills() (int, error) {
	b, err := os.ReadFile(filepath.Join(g.dir, g.kills))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if count, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			return strconv.Atoi(count)
		}
	}
	return 0, errors.New("the cgroup does not tell how often it killed a process")
}

// Remove removes the cgroup. Its processes must have ended.
func (g *Group) Remove() error { return os.Remove(g.dir) }
