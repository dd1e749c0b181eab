package stepwell

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"time"
)

// LimitKind is a limit that the queue enforces.
type LimitKind int

// The kinds.
const (
	// LimitConcurrency bounds the items that are leased at the same time.
	LimitConcurrency LimitKind = iota
	// LimitThrottle bounds the first items of runs that are leased within a period.
	LimitThrottle
)

// LimitName names one of the limits of a function. Functions of an environment, or of all, that have a limit of this
// scope with the same expression share it by its name.
type LimitName struct {
	Kind  LimitKind
	Scope Scope
	// Key is made of the limit's expression, and of what its scope is; empty for a limit of the whole function.
	Key string
}

// The letters of LimitName's text, by kind and by scope.
const (
	kindLetters  = "ct"
	scopeLetters = "fea"
)

// String is a letter for the kind, one for the scope, and the key.
func (n LimitName) String() string {
	return kindLetters[n.Kind:n.Kind+1] + scopeLetters[n.Scope:n.Scope+1] + n.Key
}

// parseLimitName reads what String writes. What is none is a name with another text.
func parseLimitName(text string) LimitName {
	var letters [2]int
	if len(text) >= len(letters) {
		letters[0], letters[1] = strings.IndexByte(kindLetters, text[0]), strings.IndexByte(scopeLetters, text[1])
	}
	if len(text) < len(letters) || min(letters[0], letters[1]) < 0 {
		return LimitName{Key: text}
	}
	return LimitName{Kind: LimitKind(letters[0]), Scope: Scope(letters[1]), Key: text[len(letters):]}
}

// LimitKey is the value that a limit has for a run.
type LimitKey struct {
	LimitName
	// Value is what the limit's expression yielded (NewLimitKey); empty if it has none.
	Value string
}

// throttles tells whether the key is a throttle's.
func (k LimitKey) throttles() bool { return k.Kind == LimitThrottle }

// String is the name and the value, escaped as in the query of a URL.
func (k LimitKey) String() string { return k.LimitName.String() + "=" + url.QueryEscape(k.Value) }

// ParseLimitKey reads what String writes. Errors: ErrInvalid; then the key has another text.
func ParseLimitKey(text string) (LimitKey, error) {
	name, value, _ := strings.Cut(text, "=")
	key := LimitKey{LimitName: parseLimitName(name)}
	var err error
	if key.Value, err = url.QueryUnescape(value); err != nil || key.String() != text {
		return key, Invalidf("%q is no limit's key", text)
	}
	return key, nil
}

// ThrottlePeriodMax bounds the period of a throttle.
const ThrottlePeriodMax = 7 * 24 * time.Hour

// ThrottleStart is what a throttle counts: the begin of a run.
type ThrottleStart struct {
	// Item is the run's first one, as far as its id and its lane tell.
	Item Item
	At   time.Time
}

// NewThrottleStart is the begin of a run of a function, with the keys of the run's limits.
func NewThrottleStart(function FunctionID, run RunID, limits []LimitKey, at time.Time) ThrottleStart {
	return ThrottleStart{Item: NewDiscovery(Run{ID: run, Function: function, Limits: limits}, 1, time.Time{}), At: at}
}

// limitValueBytesMax bounds LimitKey.Value.
const limitValueBytesMax = 128

// NewLimitKey is the key of a limit with a value. Of a long value only a hash is kept, since every item has it.
func NewLimitKey(name LimitName, value string) LimitKey {
	if len(value) > limitValueBytesMax {
		sum := sha256.Sum256([]byte(value))
		value = "sha256:" + hex.EncodeToString(sum[:])
	}
	return LimitKey{LimitName: name, Value: strings.ToValidUTF8(value, "\uFFFD")}
}

// Limit is one of a function's limits that the queue enforces.
type Limit struct {
	LimitName
	// Expression yields the value of the limit's key; empty for a limit of the whole function.
	Expression string
	// Most is how many items may be leased: at the same time, or within Period.
	Most int
	// Period is zero for LimitConcurrency.
	Period time.Duration
}

// Option is what the limit is called among a function's options.
func (l Limit) Option() string {
	if l.Kind == LimitThrottle {
		return "throttle"
	}
	return "concurrency"
}

// Limits are those of the function's limits that the queue enforces. A concurrency of 0 is none.
func (f Function) Limits() []Limit {
	var limits []Limit
	for _, c := range f.FlowControl.Concurrency {
		if c.Limit <= 0 || c.Runs {
			continue
		}
		name := LimitName{Kind: LimitConcurrency, Scope: c.Scope, Key: f.limitKey(c.Scope, c.Key)}
		limits = append(limits, Limit{LimitName: name, Expression: c.Key, Most: c.Limit})
	}
	if t := f.FlowControl.Throttle; t != nil {
		name := LimitName{Kind: LimitThrottle, Key: f.limitKey(ScopeFunction, t.Key)}
		limits = append(limits, Limit{LimitName: name, Expression: t.Key, Most: t.Limit + t.Burst, Period: t.Period})
	}
	return limits
}

// limitKeyBytes is how much of a hash a LimitName keeps.
const limitKeyBytes = 9

// limitKey is the Key of a limit's name.
func (f Function) limitKey(scope Scope, expression string) string {
	if expression == "" {
		return ""
	}
	owner := ""
	if scope == ScopeEnvironment {
		owner = f.Environment.String()
	}
	sum := sha256.Sum256([]byte(owner + "\n" + expression))
	return base64.RawURLEncoding.EncodeToString(sum[:limitKeyBytes])
}
