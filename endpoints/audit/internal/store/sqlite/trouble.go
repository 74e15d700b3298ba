package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	noSpace  = "no space is left on the volume of %q: make it larger; with a shorter AMP_AUDIT_RETENTION less is needed"
	readOnly = "the file system of %q is read-only: remove readOnly from the volume and its mount; if it has none, the node may have found an error in the volume"
)

// trouble says what keeps SQLite from using the database's file, and what to do. SQLite's own error names only the kind
// of trouble, and the driver may give even that a wrong name ("out of memory"); so trouble looks at the files. The error
// is returned as it is if it is another one, or if the database is in memory.
//
// closed says that no connection is open. Otherwise trouble does not open the database's files: to close one again
// would release SQLite's locks on it (https://sqlite.org/howtocorrupt.html, 2.2).
func trouble(path string, err error, closed bool) error {
	var e *sqlite.Error
	if path == "" || !errors.As(err, &e) {
		return err
	}
	what := ""
	switch e.Code() & 0xff { // the rest of an extended code does not matter
	case sqlite3.SQLITE_NOTADB:
		what = "it is not an SQLite database: name another file in AMP_AUDIT_DB, or move this one away"
	case sqlite3.SQLITE_CORRUPT:
		what = "it is damaged: put a copy in its place, or move it away with the files " + filepath.Base(path) + "-wal and -shm, then a new one is begun"
	case sqlite3.SQLITE_BUSY:
		what = "another process has locked it: only one may use it, so is an old Pod still running?"
	case sqlite3.SQLITE_FULL:
		what = fmt.Sprintf(noSpace, filepath.Dir(path))
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR:
		what = unusable(path, closed)
	}
	if what == "" {
		return err
	}
	return fmt.Errorf("%s (SQLite's code %d)", what, e.Code())
}

// unusable says why the database's files cannot be written; empty if they can be.
func unusable(path string, closed bool) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Sprintf("%q is a folder: name a file in it in AMP_AUDIT_DB, such as %s", path, filepath.Join(path, "events.db"))
	}
	folder := filepath.Dir(path)
	switch info, err := os.Stat(folder); {
	case err != nil:
		return denied(folder, err)
	case !info.IsDir():
		return fmt.Sprintf("%q is not a folder: name another file in AMP_AUDIT_DB", folder)
	}
	// SQLite makes files beside the database.
	f, err := os.CreateTemp(folder, ".audit-*")
	if err != nil {
		return denied(folder, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, 64<<10))
	if err = errors.Join(err, f.Close()); err != nil {
		return denied(folder, err)
	}
	if closed {
		for _, file := range []string{path, path + "-wal", path + "-shm"} {
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return denied(file, err)
			}
			_ = f.Close() // nothing was written
		}
	}
	return ""
}

// denied says in plain words why a file or a folder cannot be written, and what to do.
func denied(name string, err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return fmt.Sprintf(readOnly, name)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Sprintf(noSpace, name)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no folder %q: mount the volume there, or name another file in AMP_AUDIT_DB", name)
	case errors.Is(err, fs.ErrPermission):
		mode := ""
		if info, err := os.Stat(name); err == nil {
			mode = fmt.Sprintf(" (mode %s)", info.Mode())
		}
		return fmt.Sprintf("user %d cannot write %q%s: set fsGroup in the Pod's securityContext; if the volume ignores that (NFS, hostPath), change its owner or its mode",
			os.Getuid(), name, mode)
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Sprintf("%q cannot be written: %v", name, err)
}
