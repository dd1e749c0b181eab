package stepwell

// Why says why an item that is due is not leased.
type Why int

// The reasons.
const (
	// WhyTurn: nobody had room for it yet.
	WhyTurn Why = iota
	// WhyLimit: its lane is at a limit.
	WhyLimit
	// WhyPaused: its function is paused.
	WhyPaused
	// WhyUnknown: the shard was lost, or its function's limits are not known yet.
	WhyUnknown
)

// Waiting is why an item is not leased.
type Waiting struct {
	Why Why
	// Limit is that of WhyLimit.
	Limit LimitKey
	// Ahead is how many items of its lane go before it.
	Ahead int
}
