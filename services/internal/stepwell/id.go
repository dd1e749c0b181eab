package stepwell

import (
	"crypto/sha256"
	"encoding/binary"
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

// SyncID names what an app said at a sync.
type SyncID struct{ uuid.UUID }

// RequestID is a ULID that names one request to an app.
type RequestID struct{ ulid.ULID }

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

// NewSyncID derives the id of a sync from what was said.
func NewSyncID(app AppID, checksum string) SyncID {
	return SyncID{uuid.NewSHA1(app.UUID, []byte(checksum))}
}

// NewRequestID derives the id of the request that is made for an item under a lease.
func NewRequestID(item ItemID, generation int) RequestID {
	id := item.Run().ULID
	hash := sha256.New()
	io.WriteString(hash, string(item))
	hash.Write(binary.BigEndian.AppendUint64(nil, uint64(generation)))
	copy(id[6:], hash.Sum(nil))
	return RequestID{id}
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

// EventSeed makes the event ids of one publish request repeatable: those of the publisher's retry are the same.
type EventSeed struct{ first ulid.ULID }

// eventSeedEntropyBytes is the length of a seed's random part.
const eventSeedEntropyBytes = 10

// NewEventSeed is the seed of a time, in milliseconds, and ten random bytes.
func NewEventSeed(millis uint64, entropy []byte) (EventSeed, error) {
	var seed EventSeed
	if len(entropy) != eventSeedEntropyBytes {
		return seed, Invalidf("an event seed has %d random bytes, this one %d", eventSeedEntropyBytes, len(entropy))
	}
	if err := seed.first.SetTime(millis); err != nil {
		return seed, Invalidf("an event seed's time is out of range: %d", millis)
	}
	copy(seed.first[6:], entropy)
	return seed, nil
}

// ParseEventSeed reads a ULID as a seed.
func ParseEventSeed(text string) (EventSeed, error) {
	id, err := ulid.ParseStrict(text)
	if err != nil {
		return EventSeed{}, Invalidf("%q is not a ULID", text)
	}
	return EventSeed{id}, nil
}

// Time is the seed's time, which is that of its ids.
func (s EventSeed) Time() time.Time { return s.first.Timestamp() }

// derivedBit is set in the ids of events that the server makes itself, and clear in those whose randomness a publisher
// chose: so no publisher can take the id of an event to come. It is the first of the random bits.
const derivedBit = 0x80

// deriveEventID is an id of the server's own: its random bits are a hash of its cause.
func deriveEventID(at time.Time, hash []byte) EventID {
	var id ulid.ULID
	copy(id[6:], hash)
	id[6] |= derivedBit
	if err := id.SetTime(ulid.Timestamp(at)); err != nil {
		panic(fmt.Sprintf("event id for %s: %v", at, err)) // only beyond the year 10889
	}
	return EventID{id}
}

// IDs are the first n ids. The SDKs count from one, in the last four bytes.
func (s EventSeed) IDs(n int) []EventID {
	ids := make([]EventID, n)
	for i := range ids {
		id := s.first
		id[6] &^= derivedBit
		last := id[len(id)-4:]
		binary.BigEndian.PutUint32(last, binary.BigEndian.Uint32(last)+uint32(i)+1)
		ids[i] = EventID{id}
	}
	return ids
}
