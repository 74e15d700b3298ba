package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// errInUse refuses a second process. The order of arrival, what the writer remembers and the news of what was stored are
// one process's own, so two of them would lose events.
var errInUse = errors.New("another process uses it, and only one may: wait until that one has ended (is an old Pod still running?), or name another file in AMP_AUDIT_DB")

// lock makes sure that no other process uses the database at path, until the file is closed or the process ends. The lock
// is on a file beside the database: to close the database's own would release SQLite's locks
// (https://sqlite.org/howtocorrupt.html, 2.2). A database in memory needs no lock.
func lock(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(folder, filepath.Base(path))
	}
	file, err := os.OpenFile(path+"-lock", os.O_RDWR|os.O_CREATE, 0o644)
	if errors.Is(err, fs.ErrPermission) {
		file, err = os.Open(path + "-lock") // another user's, which a local file system can lock all the same
	}
	if err != nil {
		return nil, err
	}
	free, err := tryLock(file)
	if err == nil && free {
		return file, nil
	}
	_ = file.Close()
	if err == nil {
		return nil, errInUse
	}
	return nil, &fs.PathError{Op: "lock", Path: path + "-lock", Err: err}
}

// unlock ends a lock and closes its file, which may be nil. To close it is not enough: if this process is just starting a
// program, the file is open in the child until the program runs.
func unlock(file *os.File) {
	if file == nil {
		return
	}
	_ = endLock(file) // it ends with the file at the latest
	_ = file.Close()
}
