package stepwell

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
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
	// InternalMember is the member of an event's data that only the server may set.
	InternalMember = "_inngest"
)

// The names of the server's own events about runs.
const (
	// EventInvoked asks for a run of the function that it names.
	EventInvoked = "inngest/function.invoked"
	// EventFinished tells of every run that ended, EventFailed and EventCancelled of some of them in addition.
	EventFinished  = "inngest/function.finished"
	EventFailed    = "inngest/function.failed"
	EventCancelled = "inngest/function.cancelled"
	// EventDeferred starts a function that a run deferred until its end.
	EventDeferred = "inngest/deferred.schedule"
)

// NewEventID derives the id of an event that the server makes itself from its cause, so that making it twice is the same
// event.
func NewEventID(at time.Time, cause string) EventID {
	hash := sha256.New()
	io.WriteString(hash, "event\n"+cause)
	return deriveEventID(at, hash.Sum(nil))
}

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
	// Trace is the span of its publishing, or of what it was that emitted it. Runs that it starts belong to that trace.
	Trace Trace
}

// Nameable tells whether an event or a signal that is waited for may have the name: 1 to EventNameBytesMax bytes of UTF-8
// without control characters.
func Nameable(name string) bool {
	return name != "" && len(name) <= EventNameBytesMax && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

// PublicID is the `id` that functions and expressions see: the publisher's, else the server's.
func (e Event) PublicID() string {
	if e.Key != "" {
		return e.Key
	}
	return e.ID.String()
}

// AppendJSON appends the event as functions see it, its members in the order of their names.
func (e Event) AppendJSON(body []byte) []byte {
	body = append(body, `{"data":`...)
	body = append(body, e.Data...)
	body = append(body, `,"id":`...)
	body = append(body, EncodeJSON(e.PublicID())...)
	if len(e.Meta) > 0 {
		body = append(body, `,"meta":`...)
		body = append(body, e.Meta...)
	}
	body = append(body, `,"name":`...)
	body = append(body, EncodeJSON(e.Name)...)
	body = append(body, `,"ts":`...)
	body = strconv.AppendInt(body, e.Time.UnixMilli(), 10)
	body = append(body, `,"user":`...)
	body = append(body, e.User...)
	if e.Version != "" {
		body = append(body, `,"v":`...)
		body = append(body, EncodeJSON(e.Version)...)
	}
	return append(body, '}')
}

// AppendEventsJSON appends a list of events as functions see them.
func AppendEventsJSON(body []byte, events []Event) []byte {
	body = append(body, '[')
	for i, event := range events {
		if i > 0 {
			body = append(body, ',')
		}
		body = event.AppendJSON(body)
	}
	return append(body, ']')
}

// EncodeJSON is a value that can be encoded as JSON, escaped no more than needed.
func EncodeJSON(value any) json.RawMessage {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
	return bytes.TrimRight(buf.Bytes(), "\n")
}

// WithoutInternal is an event's data without InternalMember. Errors: ErrInvalid if the data is no JSON object.
func WithoutInternal(data json.RawMessage) (json.RawMessage, error) {
	// The name may be written with escapes, so a backslash is suspicious too.
	if !bytes.Contains(data, []byte(InternalMember)) && !bytes.Contains(data, []byte(`\u`)) {
		return data, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, Invalidf("event data cannot be read: %v", err)
	}
	if _, has := members[InternalMember]; !has {
		return data, nil
	}
	delete(members, InternalMember)
	rest, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("encode event data: %w", err)
	}
	return rest, nil
}
