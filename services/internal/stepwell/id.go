package stepwell

import (
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
)

// EventID is the server's own id of an event: a ULID whose time is when the event was received. The publisher's id is
// Event.Key.
type EventID struct{ ulid.ULID }

// RunID is a ULID. It is derived from what started the run (see NewRunID), so deciding the same start twice names the
// same run.
type RunID struct{ ulid.ULID }

// EnvironmentID separates tenants of one install: keys, apps, functions, events and runs belong to exactly one
// environment.
type EnvironmentID struct{ uuid.UUID }

// AppID is derived from environment and app name, so that syncing again keeps it.
type AppID struct{ uuid.UUID }

// FunctionID is derived from app and slug, so that syncing again keeps it.
type FunctionID struct{ uuid.UUID }

// StepID is the hash by which an SDK names a step within a run: 40 lower-case hex digits from every known SDK. The
// server treats it as opaque.
type StepID string

// DefaultEnvironment is the environment of an install that has not been told of any other.
func DefaultEnvironment() EnvironmentID {
	return EnvironmentID{uuid.MustParse("00000000-0000-4000-b000-000000000000")}
}

// ParseEventID reads the 26 character text form.
func ParseEventID(text string) (EventID, error) {
	id, err := ulid.ParseStrict(text)
	if err != nil {
		return EventID{}, Invalidf("event id %q is not a ULID", text)
	}
	return EventID{id}, nil
}

// ParseRunID reads the 26 character text form.
func ParseRunID(text string) (RunID, error) {
	id, err := ulid.ParseStrict(text)
	if err != nil {
		return RunID{}, Invalidf("run id %q is not a ULID", text)
	}
	return RunID{id}, nil
}

// NewAppID derives the id of the app called name.
func NewAppID(environment EnvironmentID, name string) AppID {
	return AppID{uuid.NewSHA1(environment.UUID, []byte(name))}
}

// NewFunctionID derives the id of the function with this slug.
func NewFunctionID(app AppID, slug string) FunctionID {
	return FunctionID{uuid.NewSHA1(app.UUID, []byte(slug))}
}

// NewRunID derives a run's id from the function it runs and the cause that started it (an event id's text, a batch id,
// a cron instant). The time part is at; the other 80 bits are a hash, so that a retried decision is the same run (I2).
func NewRunID(at time.Time, function FunctionID, cause string) RunID {
	hash := sha256.New()
	hash.Write(function.UUID[:])
	io.WriteString(hash, cause)
	var id ulid.ULID
	copy(id[6:], hash.Sum(nil))
	// SetTime fails only beyond the year 10889, which Event validation excludes.
	if err := id.SetTime(ulid.Timestamp(at)); err != nil {
		panic(fmt.Sprintf("run id for %s: %v", at, err))
	}
	return RunID{id}
}

// EventIDs makes event ids that increase in the order they are asked for, also within one millisecond. It is safe for
// concurrent use.
type EventIDs struct {
	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy
}

// NewEventIDs draws randomness from entropy, which the caller does not use elsewhere.
func NewEventIDs(entropy io.Reader) *EventIDs {
	return &EventIDs{entropy: ulid.Monotonic(entropy, 0)}
}

// Next returns n ids received at now, in increasing order.
func (e *EventIDs) Next(now time.Time, n int) ([]EventID, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]EventID, n)
	for i := range ids {
		id, err := ulid.New(ulid.Timestamp(now), e.entropy)
		if err != nil {
			return nil, fmt.Errorf("make event id: %w", err)
		}
		ids[i] = EventID{id}
	}
	return ids, nil
}
