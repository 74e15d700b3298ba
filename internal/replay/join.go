package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Named is a source with a name for people, which may be empty.
type Named struct {
	Source
	Name string
}

// Join returns the events of several sources, one source after the other. It puts the name of a source before what it says of a
// place, and before its errors.
func Join(sources ...Named) Source {
	if len(sources) == 1 {
		return sources[0].Source
	}
	return &joined{sources}
}

type joined struct{ left []Named }

func (j *joined) Next(ctx context.Context) (Recorded, error) {
	for len(j.left) > 0 {
		of := j.left[0]
		event, err := of.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			j.left = j.left[1:]
			continue
		case err != nil && of.Name != "":
			err = fmt.Errorf("%s: %w", of.Name, err)
		case of.Name != "":
			event.Where = of.Name + ", " + event.Where
		}
		return event, err
	}
	return Recorded{}, io.EOF
}
