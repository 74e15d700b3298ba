package postgrestest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A Disk is a small one, which only one server uses.
type Disk struct{ filler *os.File }

// StartOnDisk runs a server for one test alone, on a disk of so many bytes. It needs root: without, the test is skipped.
func StartOnDisk(t testing.TB, bytes int) (*Server, *Disk) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: to mount a disk needs root")
	}
	var disk Disk
	s, err := launch(func(s *Server, run program) error {
		if err := os.Mkdir(s.data(), 0o700); err != nil {
			return err
		}
		if err := syscall.Mount("amp-disk", s.data(), "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700,uid=%d", bytes, s.uid)); err != nil {
			return fmt.Errorf("mounting a disk: %w", err)
		}
		err := s.initialize(run)
		if err == nil {
			disk.filler, err = os.Create(filepath.Join(s.data(), "filler"))
		}
		if err != nil {
			err = errors.Join(err, syscall.Unmount(s.data(), syscall.MNT_DETACH))
		}
		return err
	}, "min_wal_size=64MB", "max_wal_size=64MB")
	s = fit(t, s, err)
	t.Cleanup(func() {
		s.Stop(t, "QUIT")
		if err := errors.Join(disk.filler.Close(), syscall.Unmount(s.data(), syscall.MNT_DETACH)); err != nil {
			t.Error(err)
		}
	})
	return s, &disk
}

// Fill leaves no byte.
func (d *Disk) Fill(t testing.TB) {
	t.Helper()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := d.filler.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Free frees what Fill took.
func (d *Disk) Free(t testing.TB) {
	t.Helper()
	_, err := d.filler.Seek(0, 0)
	if err := errors.Join(err, d.filler.Truncate(0)); err != nil {
		t.Fatal(err)
	}
}
