package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program returns this program, which serves jupyterhub with a profiles file. It is ended with the test.
func program(t *testing.T, profiles string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), "AMP_TEST_MAIN=1", "PORT=0", "FUNCTION_TARGET=jupyterhub", "AMP_METRICS_ADDR=127.0.0.1:0", "AMP_JUPYTERHUB_PROFILES="+profiles)
	return cmd
}

func TestTheProgramDoesNotStartWithAMistakeInTheProfiles(t *testing.T) {
	for name, tc := range map[string]struct{ profiles, want string }{
		"a wrong value":          {"users:\n  alice:\n    env:\n    - {name: A, value: true}\n", "line 4: users.alice.env[0].value: want a text: put the value in quotes"},
		"an unknown field":       {"defaults:\n  volumeMount: []\n", "line 2: defaults.volumeMount: unknown field: allowed are "},
		"not YAML":               {"users: [\n", "not YAML: "},
		"more than one mistake":  {"userz: {}\ngroupz: {}\n", "(and 1 more mistakes: see endpoints jupyterhub check)"},
		"a file that is missing": {"", "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "profiles.yaml")
			if tc.profiles != "" {
				write(t, file, tc.profiles)
			}
			cmd := program(t, file)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("exit code %d, %v", code, err)
			}
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			last := lines[len(lines)-1]
			if !strings.HasPrefix(last, "endpoints: reading profiles") || !strings.Contains(last, file) || !strings.Contains(last, tc.want) {
				t.Errorf("it ends with %q, want the file and %q", last, tc.want)
			}
			if strings.Contains(stderr.String(), `"serving`) {
				t.Errorf("it served:\n%s", &stderr)
			}
		})
	}
}

func TestTheProgramKeepsTheLastGoodProfiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "profiles.yaml")
	write(t, file, "users: {alice: {env: [{name: V, value: one}]}}")
	cmd := program(t, file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	type line struct {
		Msg, Address, Err string
		LastGood          bool `json:"last_good_in_force"`
	}
	logged := bufio.NewScanner(stderr)
	until := func(msg string) (l line) {
		for logged.Scan() {
			if err := json.Unmarshal(logged.Bytes(), &l); err != nil {
				t.Fatalf("a log line is not JSON: %q", logged.Bytes())
			}
			if l.Msg == msg {
				return l
			}
		}
		t.Fatalf("the program ended before it logged %q", msg)
		return l
	}
	body := func(resp *http.Response, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	until("profiles read")
	metrics := "http://" + until("serving metrics").Address + "/metrics"
	_, port, _ := strings.Cut(strings.TrimPrefix(until("serving").Address, "[::]"), ":")
	expect := func(value, valid string) {
		t.Helper()
		answer := body(http.Post("http://127.0.0.1:"+port+"/", "application/json", strings.NewReader(pod)))
		if !strings.Contains(answer, `"value":"`+value+`"`) {
			t.Errorf("alice's Pod is answered %s, want %s", answer, value)
		}
		if said := body(http.Get(metrics)); !strings.Contains(said, "\namp_jupyterhub_profiles_valid "+valid+"\n") {
			t.Errorf("want amp_jupyterhub_profiles_valid %s, got\n%s", valid, said)
		}
	}
	expect("one", "1")

	write(t, file, "users:\n  alice:\n    env:\n    - {name: V, value: 2}\n")
	expect("one", "0")
	if l := until("profiles are unusable"); !l.LastGood || !strings.Contains(l.Err, file+": line 4: users.alice.env[0].value: want a text: put the value in quotes") {
		t.Errorf("it logged %+v", l)
	}
	write(t, file, "users: {alice: {env: [{name: V, value: three}]}}")
	expect("three", "1")
	until("profiles read")

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	expect("three", "0")
	if l := until("profiles are unusable"); !l.LastGood || !strings.Contains(l.Err, "no such file") {
		t.Errorf("it logged %+v", l)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil { // without the lull of a SIGTERM
		t.Fatal(err)
	}
	for logged.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("at its end: %v", err)
	}
}

// write replaces a file at once, as the kubelet does with a ConfigMap.
func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}
