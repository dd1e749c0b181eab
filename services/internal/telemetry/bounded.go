package telemetry

import "sync"

// Other is the label of what there is too much of to be told apart.
const Other = "other"

// Bounded makes labels of a key whose values come from users, such as the names of functions: the first values that are
// seen get labels of their own, all others share that of Other. It is safe for concurrent use.
type Bounded struct {
	max  int
	make func(value string) Labels

	mu    sync.RWMutex
	known map[string]Labels
	other Labels
}

// NewBounded returns labels for at most so many values, made by a function.
func NewBounded(most int, labels func(value string) Labels) *Bounded {
	return &Bounded{max: most, make: labels, known: map[string]Labels{}, other: labels(Other)}
}

// Of returns the labels of a value; an empty one is Other.
func (b *Bounded) Of(value string) Labels {
	if value == "" {
		return b.other
	}
	b.mu.RLock()
	labels, known := b.known[value]
	full := len(b.known) >= b.max
	b.mu.RUnlock()
	if known {
		return labels
	}
	if full {
		return b.other
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if labels, known = b.known[value]; known {
		return labels
	}
	if len(b.known) >= b.max {
		return b.other
	}
	labels = b.make(value)
	b.known[value] = labels
	return labels
}
