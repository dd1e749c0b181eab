package stepwell

import (
	"encoding/json"
	"time"
)

// The bounds of an event (docs/limits.md).
const (
	// EventNameBytesMax bounds Event.Name.
	EventNameBytesMax = 512
	// EventKeyBytesMax bounds Event.Key.
	EventKeyBytesMax = 512
	// EventBytesMax bounds one event as published.
	EventBytesMax = 3 << 20
	// EventsPerRequestMax bounds the events of one publish request.
	EventsPerRequestMax = 5000
	// EventDedupeWindow is how long the same key starts nothing new (I3).
	EventDedupeWindow = 24 * time.Hour
	// InternalEventPrefix starts the names that only the server may publish.
	InternalEventPrefix = "inngest/"
)

// Event is something that happened, as a publisher told it. JSON members are kept byte for byte as received.
type Event struct {
	ID          EventID
	Environment EnvironmentID
	// Key is the publisher's own id: the same key starts each function once within EventDedupeWindow. Empty means that
	// only ID identifies the event.
	Key  string
	Name string
	// Data and User are JSON objects, never empty: absent members are `{}`.
	Data json.RawMessage
	User json.RawMessage
	// Time is the publisher's `ts`, or when the event was received; whole milliseconds. In the future, it delays the
	// start of runs.
	Time time.Time
	// Version is the publisher's schema version, often empty.
	Version string
	// Meta is a JSON object or empty.
	Meta       json.RawMessage
	ReceivedAt time.Time
}

// PublicID is the `id` that functions and expressions see: the publisher's, else the server's.
func (e Event) PublicID() string {
	if e.Key != "" {
		return e.Key
	}
	return e.ID.String()
}
