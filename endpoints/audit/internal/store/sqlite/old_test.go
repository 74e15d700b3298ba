package sqlite

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store/storetest"
)

// TestADatabaseOfTheSchemaBeforeIsRead: a program of schema 2 made the file.
func TestADatabaseOfTheSchemaBeforeIsRead(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/schema-2.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	database, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "events.db")
	if err := os.WriteFile(path, database, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{Path: path})
	storetest.CheckOld(t, s)
	if plan := explain(t, s, "SELECT value FROM terms WHERE kind = ? AND ns = 0 ORDER BY last DESC LIMIT 200"); !strings.Contains(plan[0], "terms_seen") {
		t.Errorf("a later index is not made: %q", plan)
	}
	var version int
	if err := pragma(s, "user_version", &version); err != nil || version != schemaVersion {
		t.Errorf("its version is %d, %v: a program that knows no packed texts must refuse it", version, err)
	}
}
