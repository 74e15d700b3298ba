package sqlite

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// TestASecondProcessIsRefused: two on one file would give events the same place in the order of arrival.
func TestASecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "events.db")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	first := open(t, Config{Path: path})
	add(t, first, event("a", 0))
	for name, other := range map[string]string{"the same path": path, "through a link": filepath.Join(link, "events.db")} {
		// In this process and in another one.
		_, err := Open(Config{Path: other})
		for _, got := range []string{errorText(err), otherProcess(t, other)} {
			if !strings.Contains(got, "another process uses it, and only one may: wait until that one has ended") || !strings.HasPrefix(got, "opening the database ") {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
	add(t, first, event("b", 1)) // undisturbed
	if got := ids(t, first, nothing); got != "b a" {
		t.Errorf("there is %q", got)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got := otherProcess(t, path); got != "<nil>" {
		t.Errorf("after the first has ended: %s", got)
	}
	second := open(t, Config{Path: path}) // the other process has ended without Close of the lock's file by itself
	if got := ids(t, second, nothing); got != "b a" {
		t.Errorf("there is %q", got)
	}
}

// TestALockEndsWithItsStore although the lock's file is still open elsewhere, as it is in a child that is being started.
func TestALockEndsWithItsStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	first, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	inherited, err := syscall.Dup(int(first.lock.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(inherited)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, Config{Path: path})
}

// nothing filters nothing.
var nothing store.Filter

func errorText(err error) string {
	if err == nil {
		return "<nil>"
	}
	return err.Error()
}

// otherProcess opens the database in a process of its own, and returns what that prints.
func otherProcess(t *testing.T, path string) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"SQLITE_TEST_OPEN=" + path}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}
