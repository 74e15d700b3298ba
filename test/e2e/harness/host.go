package harness

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Host is a network namespace with an address of its own, as a Pod has it. All hosts are on one bridge. The test itself,
// with the API server, etcd and the front, is on the bridge at Home.
//
// A nil Host is loopback.
type Host struct {
	Name, Address string
}

// Home is the test's own address on the bridge.
const Home = "10.77.0.1"

// insideVariable is set in the process that has a network of its own.
const insideVariable = "AMP_TEST_INSIDE"

// Inside runs the test binary again in network and mount namespaces of its own, so that nothing it does there touches
// the machine, and everything is gone when it ends, however it ends. In the new process Inside returns; in the old one
// it exits with the new one's status. It needs root.
//
// It builds the programs first: in the new network there is nowhere to download modules from.
func Inside() error {
	if os.Getenv(insideVariable) != "" {
		return enter()
	}
	dir, err := os.MkdirTemp("", "amp-e2e-")
	if err != nil {
		return err
	}
	_, err = build(dir)
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=yes")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err == nil || errors.As(err, &exit) {
		os.Exit(cmd.ProcessState.ExitCode())
	}
	return fmt.Errorf("running the test in a network of its own, for which it must be root: %w", err)
}

// enter makes the bridge. The names of network namespaces are kept in files of a folder, which is empty here.
func enter() error {
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	return errors.Join(
		command("mount", "-t", "tmpfs", "amp-netns", "/run/netns"),
		command("ip", "link", "set", "lo", "up"),
		command("ip", "link", "add", "amp0", "type", "bridge"),
		command("ip", "address", "add", Home+"/24", "dev", "amp0"),
		command("ip", "link", "set", "amp0", "up"),
	)
}

// NewHost adds a host, the n-th: from 2 to 250.
func NewHost(name string, n int) (*Host, error) {
	h, port := &Host{Name: name, Address: fmt.Sprintf("10.77.0.%d", n)}, fmt.Sprintf("port%d", n)
	return h, errors.Join(
		command("ip", "netns", "add", name),
		command("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name),
		command("ip", "link", "set", port, "master", "amp0", "up"),
		command("ip", "-n", name, "address", "add", h.Address+"/24", "dev", "eth0"),
		command("ip", "-n", name, "link", "set", "lo", "up"),
		command("ip", "-n", name, "link", "set", "eth0", "up"),
	)
}

// run says how a program is run on the host.
func (h *Host) run(program string, args ...string) (string, []string) {
	if h == nil {
		return program, args
	}
	return "ip", append([]string{"netns", "exec", h.Name, program}, args...)
}

// at is the address of a port of the host.
func (h *Host) at(port int) string {
	address := "127.0.0.1"
	if h != nil {
		address = h.Address
	}
	return net.JoinHostPort(address, strconv.Itoa(port))
}

// Path is the way from a client to a server, in one of whose network namespaces (On; nil: the test's own) it can be cut.
type Path struct {
	On             *Host
	Client, Server string // addresses
	Port           int    // of the server
}

// Cut makes every packet of the path vanish, in both directions. Neither side is told: connections stay as they are. The
// returned function mends it.
func (p Path) Cut() (mend func() error, err error) {
	port := strconv.Itoa(p.Port)
	to := []string{"-s", p.Client, "-d", p.Server, "-p", "tcp", "--dport", port, "-j", "DROP"}
	from := []string{"-s", p.Server, "-d", p.Client, "-p", "tcp", "--sport", port, "-j", "DROP"}
	rules := func(action string) error {
		var errs []error
		for _, chain := range []string{"INPUT", "OUTPUT"} {
			for _, rule := range [][]string{to, from} {
				program, args := p.On.run("iptables", append([]string{"-w", action, chain}, rule...)...)
				errs = append(errs, command(program, args...))
			}
		}
		return errors.Join(errs...)
	}
	return func() error { return rules("-D") }, rules("-I")
}

// Mount mounts a disk in memory of so many bytes until the test unmounts it, or ends.
func Mount(dir string, bytes int) (unmount func() error, err error) {
	// Lazily: a program may still use it.
	return func() error { return command("umount", "--lazy", dir) }, command("mount", "-t", "tmpfs", "-o", "size="+strconv.Itoa(bytes), "amp-disk", dir)
}

func command(program string, args ...string) error {
	if said, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(said)))
	}
	return nil
}
