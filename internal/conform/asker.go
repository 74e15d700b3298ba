package conform

import (
	"context"

	"github.com/txn2/amp/internal/shapes"
)

// Asker asks an endpoint single questions.
type Asker struct{ run *run }

// NewAsker returns an asker. Of the configuration it uses no shapes.
func NewAsker(config Config) (*Asker, error) {
	config.Shapes, config.More = []shapes.Shape{}, nil
	r, err := newRun(config)
	if err != nil {
		return nil, err
	}
	return &Asker{r}, nil
}

// Ask sends the endpoint one Pod and returns the body of its answer, which is empty for status 204. The error says why amp
// could not answer with that: it is the text that the Pod's creator would get.
func (a *Asker) Ask(ctx context.Context, s shapes.Shape) ([]byte, error) {
	e := a.run.ask(ctx, s.Name, s.Review, s.Review.Pod)
	switch {
	case e.err != nil:
		return nil, e.err
	case e.patchErr != nil:
		return nil, e.patchErr
	}
	return e.raw.body, nil
}
