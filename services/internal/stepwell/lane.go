package stepwell

import (
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Lane names the items that share the same limits: those of one function with the same limit keys. Its text is the
// function and, for each limit key, `/<name>=<value>`, with the value escaped as in the query of a URL. That of items that
// count towards no limit, since they call no app, has `/!` in place of the first `/`.
type Lane string

// unlimitedMark begins the limit keys of items that do not count towards them.
const unlimitedMark = "!"

// Lane is the item's.
func (i Item) Lane() Lane {
	if len(i.Limits) == 0 {
		return Lane(i.Function.String())
	}
	var b strings.Builder
	b.WriteString(i.Function.String())
	for n, limit := range i.Limits {
		b.WriteByte('/')
		if n == 0 && i.Kind.Wakes() {
			b.WriteString(unlimitedMark)
		}
		b.WriteString(limit.String())
	}
	return Lane(b.String())
}

// Parse returns the function and the limit keys of which the lane was made. ErrInvalid: the text is no lane.
func (l Lane) Parse() (FunctionID, []LimitKey, error) {
	invalid := Invalidf("%q is no lane", string(l))
	parts := strings.Split(string(l), "/")
	function, err := uuid.Parse(parts[0])
	item := Item{Function: FunctionID{function}}
	for n, part := range parts[1:] {
		if n == 0 {
			if rest, wakes := strings.CutPrefix(part, unlimitedMark); wakes {
				item.Kind, part = ItemSleep, rest
			}
		}
		key, err := ParseLimitKey(part)
		if err != nil {
			return FunctionID{}, nil, invalid
		}
		item.Limits = append(item.Limits, key)
	}
	if err != nil || item.Lane() != l { // another way to write it would be another lane
		return FunctionID{}, nil, invalid
	}
	return item.Function, item.Limits, nil
}

// starts tells whether the item is the first of its run, the one that waits for throttles.
func (i Item) starts() bool { return i.Kind == ItemDiscovery && i.Number == 1 && i.Attempt == 0 }

// Throttled tells whether the item counts towards a throttle: it begins its run.
func (i Item) Throttled() bool { return slices.ContainsFunc(i.Limits, LimitKey.throttles) }

// limitsOf are those of its run's limit keys that the item has.
func (i Item) limitsOf(run []LimitKey) []LimitKey {
	if i.starts() || !slices.ContainsFunc(run, LimitKey.throttles) {
		return run
	}
	return slices.DeleteFunc(slices.Clone(run), LimitKey.throttles)
}
