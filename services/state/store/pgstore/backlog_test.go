package pgstore_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/state/store"
)

// TestLargeUnroutedEventsAreReadInParts: what waits to be routed may be more than fits into memory.
func TestLargeUnroutedEventsAreReadInParts(t *testing.T) {
	t.Parallel()
	s := open(t)
	const megabyte, events = 1 << 20, 9
	request := store.Ingest{Unrouted: true, Now: at()}
	for i := range events {
		event := eventAt(t, at().Add(time.Duration(i)*time.Second), "")
		event.Data = json.RawMessage(`"` + string(bytes.Repeat([]byte("x"), 3*megabyte)) + `"`)
		request.Environment, request.Events = event.Environment, append(request.Events, store.IngestEvent{Event: event})
	}
	_, err := s.Ingest(t.Context(), []store.Ingest{request})
	require.NoError(t, err)

	part, err := s.UnroutedEvents(t.Context(), store.PageMax)
	require.NoError(t, err)
	require.Len(t, part, store.PageBytesMax/(3*megabyte)+1, "until the bound is reached")
	for i := range part {
		require.Equal(t, request.Events[i].Event, part[i])
	}
	part, err = s.UnroutedEvents(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, part, 2)
}
