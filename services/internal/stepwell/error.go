package stepwell

import (
	"errors"
	"fmt"
	"time"
)

// The sentinels that every service, driver and client speaks. They survive gRPC (package rpc), so errors.Is works
// across processes.
var (
	// ErrNotFound: the named thing does not exist, or not in this environment.
	ErrNotFound = errors.New("not found")
	// ErrConflict: somebody was first: the item is settled, claimed by a later lease, or the run has ended. Trying
	// again cannot help (I11).
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the request is wrong in itself; its text says what and what to do.
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge: a bound was exceeded; its text names the bound.
	ErrTooLarge = errors.New("too large")
	// ErrFull: too much waits already of what the request would start; its text names it. It may be taken later, but whoever
	// sent it should slow down, so it is not Retryable.
	ErrFull = errors.New("full")
	// ErrUnauthorized: the key is missing or unknown.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrUnavailable: a dependency does not answer. Trying again may help.
	ErrUnavailable = errors.New("unavailable")
	// ErrStale: the decision was made with an older catalog of functions than the store holds, or without knowing that
	// somebody listens, or what the run deferred. Learn that and decide again.
	ErrStale = errors.New("stale decision")
	// ErrTaken: another run waits for the signal. Decide again.
	ErrTaken = errors.New("signal taken")
	// ErrLeaseLost: the lease expired and the item may be with somebody else.
	ErrLeaseLost = errors.New("lease lost")
)

// Invalidf returns an ErrInvalid whose text is for the person who sent the request: what is wrong, and what to do.
func Invalidf(format string, args ...any) error {
	return &requestError{kind: ErrInvalid, text: fmt.Sprintf(format, args...)}
}

// TooLargef returns an ErrTooLarge whose text names the bound.
func TooLargef(format string, args ...any) error {
	return &requestError{kind: ErrTooLarge, text: fmt.Sprintf(format, args...)}
}

// FullRetryAfter is when somebody who was told ErrFull should try again.
const FullRetryAfter = 5 * time.Second

// Fullf returns an ErrFull whose text names what is full.
func Fullf(format string, args ...any) error {
	return &requestError{kind: ErrFull, text: fmt.Sprintf(format, args...)}
}

// Unauthorizedf returns an ErrUnauthorized whose text is for whoever was refused: it must not help to guess a key.
func Unauthorizedf(format string, args ...any) error {
	return &requestError{kind: ErrUnauthorized, text: fmt.Sprintf(format, args...)}
}

// requestError keeps the sentinel out of the text, which is shown to people as it is.
type requestError struct {
	kind error
	text string
}

func (e *requestError) Error() string { return e.text }
func (e *requestError) Unwrap() error { return e.kind }

// Retryable tells whether the same request may succeed later without anything about it changing.
func Retryable(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrStale)
}
