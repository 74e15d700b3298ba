package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

// waits is a reader that ends only with the test, and says when someone reads it.
type waits struct {
	read func()
	end  <-chan struct{}
}

func (w waits) Read([]byte) (int, error) {
	w.read()
	<-w.end
	return 0, errors.New("the test is over")
}

// TestAnInterruptEndsWhoWaitsForInput: a terminal may give nothing for ever.
func TestAnInterruptEndsWhoWaitsForInput(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	r := interruptible{ctx, waits{interrupt, t.Context().Done()}}
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d bytes, %v", n, err)
	}

	silent, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	defer writer.Close()
	defer func(before *os.File) { os.Stdin = before }(os.Stdin)
	os.Stdin = silent
	for _, args := range []string{
		"try -f - --endpoint http://127.0.0.1:9/", "conform -f - --endpoint http://127.0.0.1:9/", "bench -f - --endpoint http://127.0.0.1:9/",
		"replay --events - --endpoint http://127.0.0.1:9/",
	} {
		var out, errs bytes.Buffer
		if code := run(ctx, strings.Fields(args), &out, &errs); code != exitUsage || !strings.Contains(errs.String(), "interrupted") {
			t.Errorf("%s: exit code %d, %s", args, code, errs.String())
		}
	}
}
