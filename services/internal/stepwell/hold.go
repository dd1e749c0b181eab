package stepwell

// Hold is what an operator has a function do instead of starting and executing runs.
type Hold int

// The holds.
const (
	HoldNone Hold = iota
	// HoldQueue: runs start and wait, as live runs do, until the function is resumed.
	HoldQueue
	// HoldSkip: starts are recorded as skipped, live runs wait until the function is resumed.
	HoldSkip
	// HoldDrain: starts are recorded as skipped, live runs go on to their end.
	HoldDrain
)

// String is the hold as APIs spell it; empty for none.
func (h Hold) String() string {
	switch h {
	case HoldNone:
		return ""
	case HoldQueue:
		return "queue"
	case HoldSkip:
		return "skip"
	case HoldDrain:
		return "drain"
	}
	return "unknown"
}

// Waits tells whether nothing of the function's runs is executed.
func (h Hold) Waits() bool { return h == HoldQueue || h == HoldSkip }

// Skip is why starts are skipped; SkipNone if they are not.
func (h Hold) Skip() SkipReason {
	switch h {
	case HoldNone, HoldQueue:
	case HoldSkip:
		return SkipPaused
	case HoldDrain:
		return SkipDrained
	}
	return SkipNone
}
