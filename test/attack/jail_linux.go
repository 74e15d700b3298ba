package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// elsewhere are addresses that the loopback of the namespace has besides its own. Amp must not connect to one of them,
// unless a row says so.
var elsewhere = []string{
	"169.254.169.254", "168.63.129.16", "192.0.0.192", "100.100.100.200", "100.96.0.96", "100.80.80.80", "8.8.8.8", "203.0.113.7",
	"fd00:ec2::254", "fd00:ec2::23", "fd00:42::42", "fd20:ce::254",
	"64:ff9b:1::a9fe:a9fe", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a83f:8110", "2002:a9fe:a9fe::1", "2001:db8::1",
	ownPrivate, otherPrivate, sharedPrivate, ownPrivate6,
}

// inNamespace runs this program again, in a network namespace of its own. dir has the programs to attack.
func inNamespace(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		return errSaid
	}
	if err != nil {
		return fmt.Errorf("making a network namespace, which needs root: %w", err)
	}
	return nil
}

// prepareNamespace brings up loopback, and gives it its addresses and their names.
func prepareNamespace(dir string) error {
	commands := [][]string{{"link", "set", "lo", "up"}}
	for _, address := range elsewhere {
		commands = append(commands, []string{"address", "add", address, "dev", "lo"})
	}
	for _, args := range commands {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	// Names, as a tenant's name server would answer.
	hosts := filepath.Join(dir, "hosts")
	text := "127.0.0.1 localhost\n169.254.169.254 " + metadataName + "\n203.0.113.7 " + publicName + "\n"
	if err := os.WriteFile(hosts, []byte(text), 0o644); err != nil {
		return err
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separating mounts: %w", err)
	}
	if err := syscall.Mount(hosts, "/etc/hosts", "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting /etc/hosts: %w", err)
	}
	return nil
}

// endWithParent lets a program end when this one is killed.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
