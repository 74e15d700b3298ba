package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/txn2/amp/test/e2e/harness"
)

// profiled is how long a profile takes for each setting.
const profiled = 20 * time.Second

// profile writes profiles of amp under three settings, of the CPU to file.0 and so on, and of what was allocated to
// file.0.allocs. amp must have been built with the tag profile.
func (b *bench) profile(file string) error {
	settings := []setting{
		centre,
		centre.with("HTTP/1.1", func(s *setting) { s.http1 = true }),
		centre.with("events", func(s *setting) { s.events = "async" }),
	}
	for i, s := range settings {
		if err := b.profileOf(s, file+"."+strconv.Itoa(i)); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (b *bench) profileOf(s setting, file string) error {
	address := "127.0.0.1:" + strconv.Itoa(harness.FreePort())
	b.env = []string{"PPROF_ADDR=" + address}
	defer b.stopAll()
	_, amp, err := b.pair(s)
	if err != nil {
		return err
	}
	loaded := make(chan error, 1)
	go func() {
		_, err := b.load(b.loadArgs(amp, s, time.Second, profiled+2*time.Second)...)
		loaded <- err
	}()
	time.Sleep(2 * time.Second)
	for path, to := range map[string]string{"profile?seconds=" + strconv.Itoa(int(profiled.Seconds())): file, "allocs": file + ".allocs"} {
		if err := fetch("http://"+address+"/debug/pprof/"+path, to); err != nil {
			return err
		}
	}
	return <-loaded
}

func fetch(url, file string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, resp.Body); err != nil {
		return err
	}
	return f.Close()
}
