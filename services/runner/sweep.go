package runner

import (
	"context"
	"fmt"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// page is a page of due items.
type page struct {
	items []stepwell.Item
	next  string
	err   error
}

// sweep calls each for page after page of due items, at most pagesMax (0: all), and loads the next page meanwhile. It
// returns the cursor of the page that it did not get to; "" at the end, and after an error, so that nothing is passed
// over.
func (s *Service) sweep(
	ctx context.Context, due store.DueQuery, pagesMax int, each func([]stepwell.Item) error,
) (next string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ahead := s.load(ctx, due)
	for n := 1; ; n++ {
		current := <-ahead
		if current.err != nil {
			return "", fmt.Errorf("look for due items: %w", current.err)
		}
		more := current.next != "" && n != pagesMax
		if more {
			due.Cursor = current.next
			ahead = s.load(ctx, due)
		}
		if err := each(current.items); err != nil {
			if more {
				cancel()
				<-ahead
			}
			return "", err
		}
		if !more {
			return current.next, nil
		}
	}
}

// load loads a page in the background; sweep receives it.
func (s *Service) load(ctx context.Context, due store.DueQuery) <-chan page {
	loaded := make(chan page, 1)
	go func() { // sweep receives its result
		items, next, err := s.deps.State.DueItems(ctx, due)
		loaded <- page{items, next, err}
	}()
	return loaded
}
