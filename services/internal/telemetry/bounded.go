package telemetry

import "sync"

// Other is the label of what there is too much of to be told apart.
const Other = "other"

// Bounded keeps the labels of values that come from users, such as the names of functions: the first values that are seen
// have labels of their own, all others share those of Other. It is safe for concurrent use.
type Bounded[L any] struct {
	max  int
	make func(value string) L

	mu    sync.RWMutex
	known map[string]L
	other L
}

// NewBounded returns labels for at most so many values, made by a function.
func NewBounded[L any](most int, labels func(value string) L) *Bounded[L] {
	return &Bounded[L]{max: most, make: labels, known: map[string]L{}, other: labels(Other)}
}

// Of returns the labels of a value; an empty one is Other.
func (b *Bounded[L]) Of(value string) L {
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
