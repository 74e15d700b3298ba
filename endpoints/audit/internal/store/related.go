package store

import (
	"encoding/json"
	"fmt"
	"strings"
)

// MaxSources bounds the sources that may use one id.
const MaxSources = 100

// Counterpart returns the id of the event that a final one supersedes, or of the final one that supersedes this one. final
// reports which of the two has the id.
func Counterpart(id string) (other string, final bool) {
	if base, ok := strings.CutSuffix(id, Final); ok {
		return base, true
	}
	return id + Final, false
}

// Choose returns the one of the events with an id that is of the source. source may be empty where there is one event. The
// errors are ErrNotFound and *SeveralSourcesError.
func Choose[T any](events []T, item func(T) *Item, source string) (chosen T, err error) {
	found := 0
	var sources []string
	for _, e := range events {
		of := item(e).Source
		if source == "" || of == source {
			if found++; found == 1 {
				chosen = e
			}
		}
		sources = append(sources, of)
	}
	switch {
	case found == 0:
		return chosen, ErrNotFound
	case found > 1:
		return chosen, &SeveralSourcesError{Sources: sources}
	}
	return chosen, nil
}

// Compare warns of an event that has the id and the source of a stored one, the first, and says something else: one of the
// two is forged. The texts are those of their items.
func Compare(warn func(message string, args ...any), item *Item, stored, text []byte) {
	if string(stored) != string(text) {
		warn("audit got two events with one id that differ, and keeps the first", "id", fmt.Sprintf("%.200s", item.ID), "source", fmt.Sprintf("%.200s", item.Source))
	}
}

// PodUID returns the uid of the Pod of an event, as it came, or "" if it has none.
func PodUID(raw []byte) string {
	var e struct {
		Data struct {
			Pod struct {
				UID string `json:"uid"`
			} `json:"pod"`
		} `json:"data"`
	}
	if json.Unmarshal(raw, &e) != nil {
		return ""
	}
	return e.Data.Pod.UID[:min(len(e.Data.Pod.UID), 100)]
}
