package eventapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	eventv1 "github.com/stepwell/stepwell/proto/gen/stepwell/event/v1"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// traceparent is the header, or the metadata, by which a publisher names its span.
const traceparent = "traceparent"

// publishBytesMax bounds the body of a publish request.
const publishBytesMax = 32 << 20

// postEvents serves POST /e/{key}.
func (s *Service) postEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*") // browsers publish too
	environment, err := s.deps.Keys.EventKey(r.Context(), r.PathValue("key"))
	if err != nil {
		s.respondPublished(w, r, nil, err)
		return
	}
	ids, err := s.publishBody(w, r, environment)
	s.respondPublished(w, r, ids, err)
}

// apiEvents serves POST /api/v1/events: the same with the API's authorization.
func (s *Service) apiEvents(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	ids, err := s.publishBody(w, r, environment)
	s.respondPublished(w, r, ids, err)
}

// preflight lets pages of any origin publish.
func preflight(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Allow-Methods", "POST, OPTIONS")
	w.Header().Set("Access-Control-Allow-Headers", "*")
	w.Header().Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

func (s *Service) publishBody(
	w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID,
) ([]stepwell.EventID, error) {
	body, err := readBody(w, r, publishBytesMax)
	if err != nil {
		return nil, err
	}
	drafts, err := parseEvents(body, r.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	seed, parent := parseSeed(r.Header.Get(sdk.HeaderEventIDSeed), time.Now()), stepwell.ParseTraceparent(r.Header.Get(traceparent))
	ids, err := s.publish(r.Context(), environment, drafts, seed, parent)
	if err == nil {
		s.metrics.acked.Add(r.Context(), len(ids), s.metrics.overHTTP)
	}
	return ids, err
}

// published is the answer to a publish request. The JS SDK needs the status in the body.
type published struct {
	IDs    []stepwell.EventID `json:"ids"`
	Status int                `json:"status"`
	Error  string             `json:"error,omitempty"`
}

func (s *Service) respondPublished(w http.ResponseWriter, r *http.Request, ids []stepwell.EventID, err error) {
	body := published{IDs: []stepwell.EventID{}, Status: http.StatusOK}
	if err != nil {
		body.Status, body.Error = s.problem(r, err)
		sayWhen(w, body.Status)
	} else if len(ids) > 0 {
		body.IDs = ids
	}
	respond(w, body.Status, body)
}

// wireEvent is an event as SDKs write it. Unknown members are ignored.
type wireEvent struct {
	Name string          `json:"name"`
	Data json.RawMessage `json:"data"`
	User json.RawMessage `json:"user"`
	ID   string          `json:"id"`
	TS   *float64        `json:"ts"`
	V    string          `json:"v"`
	Meta json.RawMessage `json:"meta"`
}

// parseEvents reads one JSON object or an array of them, whatever the content type says, or a form.
func parseEvents(body []byte, contentType string) ([]draft, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, nil
	}
	if body[0] != '{' && body[0] != '[' {
		return parseForm(body, contentType)
	}
	if !utf8.Valid(body) {
		return nil, stepwell.Invalidf("the body is not valid UTF-8")
	}
	if body[0] == '{' {
		d, err := parseEvent(body)
		return []draft{d}, err
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, stepwell.Invalidf("the body is not valid JSON: %v", err)
	}
	drafts := make([]draft, len(raw))
	for i, event := range raw {
		d, err := parseEvent(event)
		if err != nil {
			return nil, at(i, len(raw), err)
		}
		drafts[i] = d
	}
	return drafts, nil
}

func parseEvent(body []byte) (draft, error) {
	var event wireEvent
	if err := json.Unmarshal(body, &event); err != nil {
		return draft{}, stepwell.Invalidf("the event cannot be read: %v", err)
	}
	d := draft{
		name: event.Name, data: event.Data, user: event.User, meta: event.Meta, key: event.ID, version: event.V,
	}
	if event.TS != nil && *event.TS != 0 {
		if *event.TS != math.Trunc(*event.TS) || math.Abs(*event.TS) > float64(latest().UnixMilli()) {
			return draft{}, stepwell.Invalidf("the event %q has the ts %v: it must be whole milliseconds between 1980 and 2100",
				event.Name, *event.TS)
		}
		d.at = time.UnixMilli(int64(*event.TS))
	}
	return d, nil
}

// parseForm makes an event of a form, as webhooks send it: the fields name and id are the event's, all fields its data.
func parseForm(body []byte, contentType string) ([]draft, error) {
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || (media != "application/x-www-form-urlencoded" && media != "multipart/form-data") {
		return nil, stepwell.Invalidf("the body must be a JSON object or an array of them")
	}
	fields, err := url.ParseQuery(string(body))
	if media == "multipart/form-data" {
		fields, err = multipartFields(body, parameters["boundary"])
	}
	if err != nil {
		return nil, stepwell.Invalidf("the form cannot be read: %v", err)
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, stepwell.Invalidf("the form cannot be read: %v", err)
	}
	return []draft{{name: fields.Get("name"), key: fields.Get("id"), data: data}}, nil
}

func multipartFields(body []byte, boundary string) (url.Values, error) {
	request := http.Request{
		Method: http.MethodPost, Body: http.NoBody,
		Header: http.Header{"Content-Type": {"multipart/form-data; boundary=" + strconv.Quote(boundary)}},
	}
	request.Body = readCloser{bytes.NewReader(body)}
	if err := request.ParseMultipartForm(publishBytesMax); err != nil {
		return nil, err
	}
	return request.MultipartForm.Value, nil
}

// readCloser closes nothing.
type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// Publish implements eventv1.EventServiceServer.
func (s *Service) Publish(ctx context.Context, m *eventv1.PublishRequest) (*eventv1.PublishResponse, error) {
	response, err := s.publishMessage(ctx, m)
	if err == nil {
		return response, nil
	}
	switch code, text := s.conceal(ctx, err, slog.String("method", eventv1.EventService_Publish_FullMethodName)); code {
	case http.StatusServiceUnavailable:
		return nil, status.Error(codes.Unavailable, text)
	case http.StatusInternalServerError:
		return nil, status.Error(codes.Internal, text)
	default:
		return nil, err
	}
}

func (s *Service) publishMessage(ctx context.Context, m *eventv1.PublishRequest) (*eventv1.PublishResponse, error) {
	environment, err := s.deps.Keys.EventKey(ctx, bearer(ctx))
	if err != nil {
		return nil, err
	}
	if len(m.GetEvents()) == 0 {
		return nil, stepwell.Invalidf("events is empty")
	}
	seed, err := requestSeed(m.GetRequestId(), time.Now())
	if err != nil {
		return nil, err
	}
	drafts := make([]draft, len(m.GetEvents()))
	for i, event := range m.GetEvents() {
		drafts[i] = draft{
			name: event.GetName(), data: event.GetData(), user: event.GetUser(), key: event.GetId(),
			version: event.GetVersion(),
		}
		if event.GetTime() != nil {
			drafts[i].at = event.GetTime().AsTime()
		}
	}
	var parent stepwell.Trace
	if values := metadata.ValueFromIncomingContext(ctx, traceparent); len(values) > 0 {
		parent = stepwell.ParseTraceparent(values[0])
	}
	ids, err := s.publish(ctx, environment, drafts, seed, parent)
	if err != nil {
		return nil, err
	}
	s.metrics.acked.Add(ctx, len(ids), s.metrics.overGRPC)
	response := &eventv1.PublishResponse{EventIds: make([]string, len(ids))}
	for i, id := range ids {
		response.EventIds[i] = id.String()
	}
	return response, nil
}

// requestSeed is the seed that a request id is; nil if there is none.
func requestSeed(id string, now time.Time) (*stepwell.EventSeed, error) {
	if id == "" {
		return nil, nil //nolint:nilnil // a seed is optional
	}
	seed, err := stepwell.ParseEventSeed(id)
	if err != nil {
		return nil, fmt.Errorf("request_id: %w", err)
	}
	if !near(seed, now) {
		return nil, stepwell.Invalidf("request_id: %q is not of the last 24 hours", id)
	}
	return &seed, nil
}

// bearer is the key in a call's metadata; empty if there is none.
func bearer(ctx context.Context) string {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return ""
	}
	scheme, key, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}
