// Package tools checks what amp depends on: the licences of all that its programs link, and the list of the dependencies
// in docs/dependencies.md.
package tools

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/licensecheck"
)

const root = "../.."

// allowed are the licences under which amp may link code. All let a program under Apache-2.0 hold the code, and ask for no
// more than their own text beside it. MPL-2.0 also asks for the source of its own files, which the Go module proxy serves
// unchanged. docs/dependencies.md has the reasons.
var allowed = []string{"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MPL-2.0"}

// systems are those that a release has programs for.
var systems = []string{"linux", "darwin", "windows"}

// leastKnown is how much of a licence file must be text of a known licence, in percent of its words. The rest are names and
// the lists of what is under which licence.
const leastKnown = 75

// refused says why a licence file is not allowed, "" if it is.
func refused(text []byte) string {
	coverage := licensecheck.Scan(text)
	if coverage.Percent < leastKnown {
		return fmt.Sprintf("only %.0f %% of it are text of a known licence", coverage.Percent)
	}
	for _, match := range coverage.Match {
		if !match.IsURL && !slices.Contains(allowed, match.ID) {
			return match.ID + " is not allowed"
		}
	}
	return ""
}

var licenceFile = regexp.MustCompile(`(?i)^([a-z]+-)?(licen[cs]e|copying)([-.].*)?$`)

// exceptions are the licence files that a person has read, because they are not mainly the text of a known licence. Each has
// the SHA-256 of what was read: a file that changes must be read again.
var exceptions = map[string]string{
	// The address of a picture that no program links.
	"modernc.org/memory/LICENSE-LOGO": "5ae5bee3072a841376451b48d8cfcec7188e10543926d5870828d36c8a750dc5",
	// The licences of Go (BSD-3-Clause) and of musl (MIT), and a list of the parts of musl that are under MIT, BSD or none.
	"modernc.org/libc/LICENSE-3RD-PARTY.md": "f597097efe3d97021f89170746bd3a0fb9a8b6fb26b82043ed68a4e0283bee6c",
	// SQLite is in the public domain.
	"modernc.org/sqlite/SQLITE-LICENSE": "8438c9c89b849131ead81d5435cb97fcf052df5b0b286dda8a2d4c29e6cb3fd0",
}

// linked are the folders of the packages that the programs link, with the root of the module of each.
func linked(t *testing.T) map[string]string {
	t.Helper()
	folders := map[string]string{}
	for _, system := range systems {
		cmd := exec.Command("go", "list", "-deps", "-json=Dir,Standard,Module", "./cmd/...")
		cmd.Dir, cmd.Env = root, append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list for %s: %v", system, err)
		}
		for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
			var p struct {
				Dir      string
				Standard bool
				Module   *struct {
					Dir  string
					Main bool
				}
			}
			if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if !p.Standard && !p.Module.Main {
				folders[p.Dir] = p.Module.Dir
			}
		}
	}
	return folders
}

// TestLicences is about each file of a licence beside a package that a program links, and in the folders above it up to the
// root of its module.
func TestLicences(t *testing.T) {
	modules, files := map[string]bool{}, map[string]bool{}
	for folder, module := range linked(t) {
		if _, seen := modules[module]; !seen {
			modules[module] = false
		}
		for {
			entries, err := os.ReadDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				if !entry.IsDir() && licenceFile.MatchString(entry.Name()) && !strings.HasSuffix(entry.Name(), ".sh") {
					files[filepath.Join(folder, entry.Name())] = true
					modules[module] = true
				}
			}
			if folder == module {
				break
			}
			folder = filepath.Dir(folder)
		}
	}
	for module, has := range modules {
		if !has {
			t.Errorf("%s has no licence", name(module))
		}
	}
	for file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if why := refused(text); why != "" && exceptions[name(file)] != fmt.Sprintf("%x", sha256.Sum256(text)) {
			t.Errorf("%s: %s", name(file), why)
		}
	}
	if len(modules) < 50 {
		t.Errorf("only %d modules are linked: the list is not whole", len(modules))
	}
	t.Logf("%d modules, %d files", len(modules), len(files))
}

// name is a path in the module cache without the cache and without versions.
func name(path string) string {
	_, path, _ = strings.Cut(filepath.ToSlash(path), "/pkg/mod/")
	return regexp.MustCompile(`@[^/]*`).ReplaceAllString(path, "")
}

// TestRefused has licences that amp may not link: without it, TestLicences might let pass everything.
func TestRefused(t *testing.T) {
	for sentence, test := range map[string]struct{ text, want string }{
		"the GPL": {`This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later version.
This program is distributed in the hope that it will be useful, but WITHOUT ANY WARRANTY; without even the implied warranty of MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE. See the GNU General Public License for more details.
You should have received a copy of the GNU General Public License along with this program. If not, see <https://www.gnu.org/licenses/>.`, "GPL-3.0-or-later is not allowed"},
		"a text of its own": {"You may use this on Tuesdays.", "only 0 % of it are text of a known licence"},
		"nothing":           {"", "only 0 % of it are text of a known licence"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := refused([]byte(test.text)); got != test.want {
				t.Errorf("refused because %q, want %q", got, test.want)
			}
		})
	}
}
