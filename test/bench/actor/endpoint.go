package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
)

// endpoint answers every Pod with the patch in a file. It costs as little as an endpoint can, so that it does not hide
// what stands before it. It listens on so many ports, so that it looks like so many endpoints.
func endpoint(args []string) error {
	if len(args) != 2 {
		return errors.New("expected: endpoint PATCH-FILE PORTS")
	}
	patch, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	ports, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	length := []string{strconv.Itoa(len(patch))}
	return serve(ports, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		h := w.Header()
		h["Content-Type"], h["Content-Length"] = jsonType, length
		_, _ = w.Write(patch)
	})
}

// sink accepts every event. With the argument batches it says that it takes batches, too.
func sink(args []string) error {
	batches := len(args) == 1 && args[0] == "batches"
	return serve(1, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if batches {
			w.Header()["Accept-Post"] = batchType
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

var (
	jsonType  = []string{"application/json"}
	batchType = []string{"application/cloudevents-batch+json"}
)
