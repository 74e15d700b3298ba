package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// With SQLITE_TEST_OPEN set, the test binary opens that database, stores an event and prints the error. So it does that
// as another user, or with a volume of its own (SQLITE_TEST_VOLUME: a folder and the mount's options).
func TestMain(m *testing.M) {
	path := os.Getenv("SQLITE_TEST_OPEN")
	if path == "" {
		os.Exit(m.Run())
	}
	folder, options, volume := strings.Cut(os.Getenv("SQLITE_TEST_VOLUME"), " ")
	if volume {
		var flags uintptr
		if options == "ro" {
			flags, options = syscall.MS_RDONLY, ""
		}
		if err := syscall.Mount("tmpfs", folder, "tmpfs", flags, options); err != nil {
			fmt.Println("cannot mount:", err)
			os.Exit(3)
		}
	}
	s, err := Open(Config{Path: path})
	if err == nil {
		large := event("a", 0)
		large.Raw = json.RawMessage(`"` + noise(1<<20) + `"`)
		err = errors.Join(s.Add(context.Background(), []*store.Event{large}), s.Close())
	}
	fmt.Println(err)
}

// elsewhere runs the test binary to open the database: as a user without rights, or with a volume, if there is one.
func elsewhere(t *testing.T, path, volume string) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe") // that user may not come to the binary by its path
	cmd.Dir = "/"
	cmd.Env = []string{"SQLITE_TEST_OPEN=" + path, "SQLITE_TEST_VOLUME=" + volume}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	switch root := os.Getuid() == 0; {
	case volume != "" && root:
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS
	case volume != "":
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	case root:
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65532, Gid: 65532}
	}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 3 || errors.Is(err, syscall.EPERM) && volume != "" {
		t.Skipf("SKIPPED: a mount needs root, or a user namespace: %v %s", err, out)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestTroubleSaysWhatToDo opens databases that cannot be used. What is not good must not stay a code of SQLite.
func TestTroubleSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const fsGroup = `: set fsGroup in the Pod's securityContext; if the volume ignores that (NFS, hostPath), change its owner or its mode (SQLite's code N)`
	write := func(name, text string, mode os.FileMode) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) {
			path := filepath.Join(folder, name)
			if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
		}
	}
	database := func(then ...string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) {
			s, err := Open(Config{Path: filepath.Join(folder, "events.db")})
			if err != nil {
				t.Fatal(err)
			}
			for _, statement := range then {
				if _, err := s.tx.conn.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	mode := func(name string, mode os.FileMode) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) {
			if err := os.Chmod(filepath.Join(folder, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		before []func(t *testing.T, folder string)
		file   string // in the folder; default: events.db
		volume string // its options
		want   string // FOLDER, USER and N are replaced
	}{
		"the folder may not be written": {before: []func(*testing.T, string){mode(".", 0o555)},
			want: `user USER cannot write "FOLDER" (mode dr-xr-xr-x)` + fsGroup},
		"the folder may not be entered": {before: []func(*testing.T, string){mode(".", 0o000)},
			want: `user USER cannot write "FOLDER" (mode d---------)` + fsGroup},
		"the file may not be written": {before: []func(*testing.T, string){database(), mode("events.db", 0o444), mode(".", 0o777)},
			want: `user USER cannot write "FOLDER/events.db" (mode -r--r--r--)` + fsGroup},
		"the file may be written, the folder not": {before: []func(*testing.T, string){database(), mode("events.db", 0o666), mode(".", 0o555)},
			want: `user USER cannot write "FOLDER" (mode dr-xr-xr-x)` + fsGroup},
		"the WAL may not be written": {before: []func(*testing.T, string){database(), mode("events.db", 0o666), write("events.db-wal", "", 0o444), mode(".", 0o777)},
			want: `user USER cannot write "FOLDER/events.db-wal" (mode -r--r--r--)` + fsGroup},
		"there is no folder": {file: "missing/events.db",
			want: `there is no folder "FOLDER/missing": mount the volume there, or name another file in AMP_AUDIT_DB (SQLite's code N)`},
		"a folder in the place of the file": {file: ".",
			want: `"FOLDER" is a folder: name a file in it in AMP_AUDIT_DB, such as FOLDER/events.db (SQLite's code N)`},
		"a file in the place of the folder": {before: []func(*testing.T, string){write("x", "", 0o666), mode(".", 0o777)}, file: "x/events.db",
			want: `"FOLDER/x" is not a folder: name another file in AMP_AUDIT_DB (SQLite's code N)`},
		"the file is another one": {before: []func(*testing.T, string){write("events.db", strings.Repeat("some text ", 1000), 0o666), mode(".", 0o777)},
			want: `it is not an SQLite database: name another file in AMP_AUDIT_DB, or move this one away (SQLite's code N)`},
		"the database is another one": {before: []func(*testing.T, string){database("DROP TABLE meta", "PRAGMA user_version = 0"), mode("events.db", 0o666), mode(".", 0o777)},
			want: `it is the database of another program: name another file in AMP_AUDIT_DB`},
		"the schema is newer": {before: []func(*testing.T, string){database("PRAGMA user_version = 99"), mode("events.db", 0o666), mode(".", 0o777)},
			want: `its schema is version 99, this amp knows 3: use the amp that made it, or another file`},
		"the database is damaged": {before: []func(*testing.T, string){database(), damage, mode("events.db", 0o666), mode(".", 0o777)},
			want: `it is damaged: put a copy in its place, or move it away with the files events.db-wal and -shm, then a new one is begun (SQLite's code N)`},
		"the file system is read-only": {volume: "ro",
			want: `the file system of "FOLDER" is read-only: remove readOnly from the volume and its mount; if it has none, the node may have found an error in the volume (SQLite's code N)`},
		"the disk is full": {volume: "size=32k",
			want: `no space is left on the volume of "FOLDER": make it larger; with a shorter AMP_AUDIT_RETENTION less is needed (SQLite's code N)`},
		"the disk is full after a while": {volume: "size=300k",
			want: `storing events: no space is left on the volume of "FOLDER": make it larger; with a shorter AMP_AUDIT_RETENTION less is needed (SQLite's code N)`},
		"nothing": {before: []func(*testing.T, string){mode(".", 0o777)}, want: "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			if err := os.Chmod(filepath.Dir(folder), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(folder, 0o700) })
			for _, do := range test.before {
				do(t, folder)
			}
			path, volume := filepath.Join(folder, "events.db"), ""
			if test.file != "" {
				path = filepath.Join(folder, test.file)
			}
			if test.volume != "" {
				volume = folder + " " + test.volume
			}
			got := elsewhere(t, path, volume)
			got = strings.TrimPrefix(got, fmt.Sprintf("opening the database %q: ", path))
			got = strings.ReplaceAll(got, folder, "FOLDER")
			got = regexp.MustCompile(`user \d+`).ReplaceAllString(got, "user USER")
			got = regexp.MustCompile(`code \d+`).ReplaceAllString(got, "code N")
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// damage overwrites the tables of a database, and leaves its head.
func damage(t *testing.T, folder string) {
	path := filepath.Join(folder, "events.db")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range text[100:] {
		text[100+i] = 0xff
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
