package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/txn2/amp/internal/workload"
)

// coldStart measures the time from the exec of amp to its first right answer, while the cluster has 1,000 namespaces that
// opted in.
func (c *cluster) coldStart() error {
	if err := c.namespaces(0, 1000); err != nil {
		return err
	}
	review, err := os.ReadFile(c.path("review.json"))
	if err != nil {
		return err
	}
	var took []float64
	for range c.rounds {
		start := time.Now()
		amp, err := c.proxy("KUBECONFIG="+c.path("kubeconfig"), "AMP_EVENTS=off")
		if err != nil {
			return err
		}
		for !right(amp.address, review) {
			if time.Since(start) > 20*time.Second {
				return fmt.Errorf("amp gave no right answer: %s", amp.said)
			}
			time.Sleep(500 * time.Microsecond)
		}
		took = append(took, float64(time.Since(start).Microseconds())/1000)
		amp.stop()
	}
	c.add(row{Group: "Cold start", Name: "exec to the first right answer, 1,000 namespaces", Unit: "ms", Goal: atMost(40), Values: took})
	return nil
}

// memory measures the most memory that amp has had after 100,000 reviews in 10,000 namespaces.
func (c *cluster) memory() error {
	if err := c.namespaces(1000, 10_000); err != nil {
		return fmt.Errorf("making 10,000 namespaces: %w", err)
	}
	sink, err := c.serving("sink")
	if err != nil {
		return err
	}
	defer sink.stop()
	for _, events := range []struct {
		name string
		env  []string
	}{
		{"no events", []string{"AMP_EVENTS=off"}},
		{"events to an HTTP sink", []string{"AMP_EVENTS=async", "K_SINK=http://" + sink.address}},
	} {
		amp, err := c.proxy(append(events.env, "KUBECONFIG="+c.path("kubeconfig"))...)
		if err != nil {
			return err
		}
		if err := c.untilRight(amp); err != nil {
			return err
		}
		if _, err := c.load("-url", "https://"+amp.address+"/mutate/fail?timeout=2s", "-ca", c.path("ca.pem"), "-body", c.path("review.json"),
			"-namespaces", "10000", "-count", "100000", "-for", "4m"); err != nil {
			return fmt.Errorf("100,000 reviews: %w; amp said: %s", err, amp.said)
		}
		peak, err := peakRSS(amp.cmd.Process.Pid)
		if err != nil {
			return err
		}
		amp.stop()
		c.add(row{Group: "Memory", Name: "peak RSS, 100,000 reviews, 10,000 namespaces, " + events.name, Unit: "MiB", Goal: atMost(48), Values: []float64{peak}})
	}
	return nil
}

// peakRSS is the most memory in RAM that the process has had, in MiB.
func peakRSS(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			var kib float64
			_, err := fmt.Sscan(value, &kib)
			return kib / 1024, err
		}
	}
	return 0, errors.New("/proc has no VmHWM")
}

// namespaces makes the namespaces from one number up to another one. The load counts in their names.
func (c *cluster) namespaces(from, to int) error {
	var next atomic.Int64
	next.Store(int64(from))
	failed := make([]error, 16)
	var group sync.WaitGroup
	for i := range failed {
		group.Go(func() {
			for failed[i] == nil {
				n := next.Add(1) - 1
				if n >= int64(to) {
					return
				}
				failed[i] = c.namespace(fmt.Sprintf("%s%05d", strings.TrimSuffix(workload.Namespace, "00000"), n), nil)
			}
		})
	}
	group.Wait()
	return errors.Join(failed...)
}
