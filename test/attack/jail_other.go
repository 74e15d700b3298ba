//go:build !linux

package main

import (
	"context"
	"errors"
	"os/exec"
)

var errLinux = errors.New("it needs Linux: network namespaces and cgroups")

func inNamespace(context.Context, string) error { return errLinux }
func prepareNamespace(string) error             { return errLinux }

func endWithParent(*exec.Cmd) {}

type group struct{}

func newGroup(string, int64) (*group, error)                 { return nil, errLinux }
func (*group) command(program string, a ...string) *exec.Cmd { return exec.Command(program, a...) }
func (*group) peak() (int64, error)                          { return 0, errLinux }
func (*group) killed() bool                                  { return false }
func (*group) remove()                                       {}
