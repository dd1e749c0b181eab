package eventapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store"
)

// draft is an event as a publisher tells it, over HTTP or gRPC.
type draft struct {
	name    string
	data    json.RawMessage
	user    json.RawMessage
	meta    json.RawMessage
	key     string
	version string
	// at is zero if the publisher did not say.
	at time.Time
}

// publish checks the events, gives them ids in their order, and has them stored: all of them or none (I4).
//
// parent is the span that the publisher named, if any: the events, and what they start, belong to its trace.
func (s *Service) publish(
	ctx context.Context, environment stepwell.EnvironmentID, drafts []draft, seed *stepwell.EventSeed, parent stepwell.Trace,
) (_ []stepwell.EventID, err error) {
	ctx, span := s.tracer.Begin(ctx, parent, "event-api.Publish", trace.SpanKindServer)
	defer func() { span.End(publishFailed(err)) }()
	if span.On() {
		span.Set(attribute.Int("stepwell.event_count", len(drafts)))
		parent = span.Trace()
	}
	if n := len(drafts); n > stepwell.EventsPerRequestMax {
		return nil, stepwell.TooLargef("%d events in one request, at most %d are allowed", n, stepwell.EventsPerRequestMax)
	}
	now := time.Now().Truncate(time.Millisecond).UTC()
	ids, err := s.newEventIDs(now, len(drafts), seed)
	if err != nil {
		return nil, err
	}
	events := make([]stepwell.Event, len(drafts))
	for i, d := range drafts {
		event, err := d.event(now)
		if err != nil {
			return nil, at(i, len(drafts), err)
		}
		event.ID, event.Environment, event.Trace = ids[i], environment, parent
		events[i] = event
	}
	if len(events) == 0 {
		return ids, nil
	}
	began := time.Now()
	if err := s.store(ctx, events); err != nil {
		return nil, fmt.Errorf("publish events: %w", err)
	}
	s.metrics.commit.Record(ctx, time.Since(began), telemetry.Labels{})
	return ids, nil
}

// publishFailed is what the span of a request that failed tells: what it was refused for may tell of its payload (I27).
func publishFailed(err error) error {
	if err == nil || stepwell.Retryable(err) {
		return err
	}
	return errRefused
}

// errRefused is why a request was refused, to those who may not know more.
var errRefused = errors.New("the request was refused")

// publishTimeout bounds how long an event waits for a runner before it is stored without one.
const publishTimeout = 3 * time.Second

// storeTimeout bounds storing it.
const storeTimeout = 5 * time.Second

// store has the events routed and stored by a runner. If none answers, they are stored as they are: a runner routes them
// when it is back (I2). The ids are the same, so it does no harm if a runner has stored them and its answer was lost.
func (s *Service) store(ctx context.Context, events []stepwell.Event) error {
	asking, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	err := s.deps.Runner.Publish(asking, events)
	if err == nil || ctx.Err() != nil || !stepwell.Retryable(err) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	request := store.Ingest{Environment: events[0].Environment, Unrouted: true, Now: events[0].ReceivedAt}
	for _, event := range events {
		request.Events = append(request.Events, store.IngestEvent{Event: event})
	}
	storing, giveUp := context.WithTimeout(ctx, storeTimeout)
	defer giveUp()
	results, storeErr := s.deps.State.Ingest(storing, []store.Ingest{request})
	if storeErr == nil {
		storeErr = results[0].Err
	}
	if storeErr != nil {
		return errors.Join(err, storeErr)
	}
	s.metrics.unrouted.Add(ctx, len(events), telemetry.Labels{})
	s.deps.Log.WarnContext(ctx, "events stored to be routed later", slog.Int("events", len(events)),
		slog.String("reason", err.Error()))
	return nil
}

// at says which event of several an error is about.
func at(i, count int, err error) error {
	if count == 1 {
		return err
	}
	return fmt.Errorf("event %d: %w", i, err)
}

func (s *Service) newEventIDs(now time.Time, n int, seed *stepwell.EventSeed) ([]stepwell.EventID, error) {
	if seed == nil {
		return s.eventIDs.Next(now, n)
	}
	return seed.IDs(n), nil
}

// seedAgeMax bounds how far a seed's time may be from ours: ids sort by it.
const seedAgeMax = stepwell.EventDedupeWindow

// near tells whether the seed's time is near ours.
func near(seed stepwell.EventSeed, now time.Time) bool {
	return seed.Time().Sub(now).Abs() <= seedAgeMax
}

// parseSeed reads `millis,base64(10 bytes)`; what is not that, or not of our time, is ignored, as the SDKs expect.
func parseSeed(text string, now time.Time) *stepwell.EventSeed {
	millis, entropy, _ := strings.Cut(text, ",")
	ms, err1 := strconv.ParseUint(millis, 10, 64)
	random, err2 := base64.StdEncoding.DecodeString(entropy)
	seed, err3 := stepwell.NewEventSeed(ms, random)
	if errors.Join(err1, err2, err3) != nil || !near(seed, now) {
		return nil
	}
	return &seed
}

// The years that an event's time may lie in.
func earliest() time.Time { return time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC) }
func latest() time.Time   { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }

// event checks the draft. The error names what is wrong with it.
func (d draft) event(now time.Time) (stepwell.Event, error) {
	if err := d.checkText(); err != nil {
		return stepwell.Event{}, err
	}
	if n := len(d.data) + len(d.user) + len(d.meta); n > stepwell.EventBytesMax {
		return stepwell.Event{}, stepwell.TooLargef("the event %q has %d bytes, at most %d are allowed",
			d.name, n, stepwell.EventBytesMax)
	}
	if d.at.IsZero() {
		d.at = now
	}
	if d.at.Before(earliest()) || !d.at.Before(latest()) {
		return stepwell.Event{}, stepwell.Invalidf("the event %q has the ts %d: it must be milliseconds between 1980 and 2100",
			d.name, d.at.UnixMilli())
	}
	event := stepwell.Event{
		Key: d.key, Name: d.name, Time: d.at.Truncate(time.Millisecond).UTC(), Version: d.version, ReceivedAt: now,
	}
	var err error
	if event.Data, err = object("data", d.data); err != nil {
		return stepwell.Event{}, err
	}
	if event.User, err = object("user", d.user); err != nil {
		return stepwell.Event{}, err
	}
	if len(d.meta) > 0 && string(d.meta) != "null" {
		if event.Meta, err = object("meta", d.meta); err != nil {
			return stepwell.Event{}, err
		}
	}
	event.Data, err = stepwell.WithoutInternal(event.Data)
	return event, err
}

func (d draft) checkText() error {
	switch {
	case d.name == "":
		return stepwell.Invalidf("event name is empty")
	case len(d.name) > stepwell.EventNameBytesMax:
		return stepwell.Invalidf("event name is longer than %d bytes", stepwell.EventNameBytesMax)
	case strings.HasPrefix(strings.ToLower(d.name), stepwell.InternalEventPrefix):
		return stepwell.Invalidf("event name is reserved for internal use: %s", d.name)
	case len(d.key) > stepwell.EventKeyBytesMax:
		return stepwell.Invalidf("event id is longer than %d bytes", stepwell.EventKeyBytesMax)
	case strings.ContainsFunc(d.name+d.key+d.version, unicode.IsControl):
		return stepwell.Invalidf("event name, id and v must not contain control characters")
	}
	return nil
}

// object is a JSON object as it is; absent and null become an empty one.
func object(member string, raw json.RawMessage) (json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return json.RawMessage(`{}`), nil
	}
	if raw[0] != '{' || !json.Valid(raw) || !utf8.Valid(raw) {
		return nil, stepwell.Invalidf("event %s must be a JSON object in UTF-8", member)
	}
	return raw, nil
}
