// Package stateclient is the state service from afar: a store over gRPC, so that its users name the role of the store
// that they take and cannot tell the difference.
//
// It must not keep anything: every answer is the service's.
package stateclient

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	statev1 "github.com/stepwell/stepwell/proto/gen/stepwell/state/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/state/store"
)

// Client is a store.Store over gRPC.
type Client struct {
	state statev1.StateServiceClient
}

var _ store.Store = (*Client)(nil)

// New returns a client on a connection of package rpc, which the caller closes.
func New(conn grpc.ClientConnInterface) *Client {
	return &Client{state: statev1.NewStateServiceClient(conn)}
}

// Ingest implements store.Ingester.
func (c *Client) Ingest(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
	m, err := c.state.Ingest(ctx, &statev1.IngestRequest{Requests: wire.Each(requests, ingest)})
	if err != nil {
		return nil, err
	}
	return wire.Each(m.GetResults(), fromIngested), nil
}

// Commit implements store.Committer.
func (c *Client) Commit(ctx context.Context, transitions []stepwell.Transition) ([]store.Committed, error) {
	m, err := c.state.Commit(ctx, &statev1.CommitRequest{Transitions: wire.Each(transitions, wire.Transition)})
	if err != nil {
		return nil, err
	}
	return wire.Each(m.GetResults(), fromCommitted), nil
}

// Claim implements store.Committer.
func (c *Client) Claim(ctx context.Context, item stepwell.ItemID, generation int, began time.Time) error {
	_, err := c.state.Claim(ctx, &statev1.ClaimRequest{
		ItemId: string(item), Generation: int32(generation), BeginTime: wire.Time(began),
	})
	return err
}

// LoadRuns implements store.Committer.
func (c *Client) LoadRuns(ctx context.Context, ids []stepwell.RunID) ([]store.Loaded, error) {
	all := make([]store.Loaded, 0, len(ids))
	for len(all) < len(ids) { // an answer holds as many of the first as fit
		rest := wire.Each(ids[len(all):], func(id stepwell.RunID) []byte { return wire.ULID(id.ULID) })
		m, err := c.state.LoadRuns(ctx, &statev1.LoadRunsRequest{RunIds: rest})
		if err != nil {
			return nil, err
		}
		if n := len(m.GetRuns()); n == 0 || n > len(rest) {
			return nil, fmt.Errorf("state service loaded %d of %d runs", n, len(rest))
		}
		all = append(all, wire.Each(m.GetRuns(), fromLoaded)...)
	}
	return all, nil
}

// SyncApp implements store.Catalog.
func (c *Client) SyncApp(ctx context.Context, app stepwell.App, functions []stepwell.Function) (bool, error) {
	m, err := c.state.SyncApp(ctx, &statev1.SyncAppRequest{
		App: wire.App(app), Functions: wire.Each(functions, wire.Function),
	})
	return m.GetModified(), err
}

// HoldFunction implements store.Catalog.
func (c *Client) HoldFunction(
	ctx context.Context, environment stepwell.EnvironmentID, function stepwell.FunctionID, hold stepwell.Hold,
) error {
	_, err := c.state.HoldFunction(ctx, &statev1.HoldFunctionRequest{
		EnvironmentId: wire.UUID(environment.UUID), FunctionId: wire.UUID(function.UUID), Hold: wire.Hold(hold),
	})
	return err
}

// Functions implements store.Catalog.
func (c *Client) Functions(
	ctx context.Context, environment stepwell.EnvironmentID, known int64,
) (store.Functions, error) {
	m, err := c.state.ListFunctions(ctx, &statev1.ListFunctionsRequest{
		EnvironmentId: wire.UUID(environment.UUID), KnownRevision: known,
	})
	if err != nil {
		return store.Functions{}, err
	}
	return store.Functions{
		Revision: m.GetRevision(), Apps: wire.Each(m.GetApps(), wire.FromApp),
		Functions: wire.Each(m.GetFunctions(), wire.FromFunction),
	}, nil
}

// DueItems implements store.Backlog.
func (c *Client) DueItems(ctx context.Context, query store.DueQuery) ([]stepwell.Item, string, error) {
	m, err := c.state.ListDueItems(ctx, &statev1.ListDueItemsRequest{
		Before: wire.Time(query.Before), After: wire.Time(query.After), PageSize: int32(query.Limit), PageToken: query.Cursor,
	})
	if err != nil {
		return nil, "", err
	}
	return wire.Each(m.GetItems(), wire.FromItem), m.GetNextPageToken(), nil
}

// ThrottleStarts implements store.Backlog.
func (c *Client) ThrottleStarts(ctx context.Context, query store.ThrottleQuery) ([]stepwell.ThrottleStart, string, error) {
	m, err := c.state.ListThrottleStarts(ctx, &statev1.ListThrottleStartsRequest{
		FunctionId: wire.UUID(query.Function.UUID), Since: wire.Time(query.Since), PageSize: int32(query.Limit), PageToken: query.Cursor,
	})
	if err != nil {
		return nil, "", err
	}
	return wire.Each(m.GetStarts(), wire.FromThrottleStart), m.GetNextPageToken(), nil
}

// ParkedItems implements store.Backlog.
func (c *Client) ParkedItems(ctx context.Context, before time.Time, limit int) ([]stepwell.Item, error) {
	m, err := c.state.ListParkedItems(ctx, &statev1.ListParkedItemsRequest{
		Before: wire.Time(before), PageSize: int32(limit),
	})
	return wire.Each(m.GetItems(), wire.FromItem), err
}

// Unpark implements store.Backlog.
func (c *Client) Unpark(ctx context.Context, items []stepwell.ItemID) error {
	_, err := c.state.UnparkItems(ctx, &statev1.UnparkItemsRequest{ItemIds: wire.ItemIDs(items)})
	return err
}

// UnroutedEvents implements store.Backlog.
func (c *Client) UnroutedEvents(ctx context.Context, limit int) ([]stepwell.Event, error) {
	m, err := c.state.ListUnroutedEvents(ctx, &statev1.ListUnroutedEventsRequest{PageSize: int32(limit)})
	return wire.Each(m.GetEvents(), wire.FromEvent), err
}

// Holders implements store.Matcher.
func (c *Client) Holders(ctx context.Context, places []stepwell.PlaceKey) ([]stepwell.RunID, error) {
	m, err := c.state.ListHolders(ctx, &statev1.ListHoldersRequest{
		Places: wire.Each(places, func(p stepwell.PlaceKey) *statev1.PlaceKey {
			return &statev1.PlaceKey{FunctionId: wire.UUID(p.Function.UUID), Key: p.Key}
		}),
	})
	if err != nil {
		return nil, err
	}
	if n := len(m.GetRunIds()); n != len(places) {
		return nil, fmt.Errorf("state service named the holders of %d of %d places", n, len(places))
	}
	return wire.Each(m.GetRunIds(), runID), nil
}

// Waits implements store.Matcher.
func (c *Client) Waits(ctx context.Context, query store.WaitQuery) ([]stepwell.Wait, string, error) {
	m, err := c.state.ListWaits(ctx, &statev1.ListWaitsRequest{
		Event: wire.Event(query.Event), PageSize: int32(query.Limit), PageToken: query.Cursor,
	})
	return wire.Each(m.GetWaits(), wire.FromWait), m.GetNextPageToken(), err
}

// SignalWait implements store.Matcher.
func (c *Client) SignalWait(
	ctx context.Context, environment stepwell.EnvironmentID, signal string,
) (stepwell.Wait, error) {
	m, err := c.state.GetSignalWait(ctx, &statev1.GetSignalWaitRequest{
		EnvironmentId: wire.UUID(environment.UUID), Signal: signal,
	})
	if err != nil {
		return stepwell.Wait{}, err
	}
	return wire.FromWait(m.GetWait()), nil
}

// Routed implements store.Matcher.
func (c *Client) Routed(ctx context.Context, events []stepwell.EventID) error {
	_, err := c.state.RouteEvents(ctx, &statev1.RouteEventsRequest{EventIds: wire.Each(events, eventID)})
	return err
}

// Deadlines implements store.Backlog.
func (c *Client) Deadlines(ctx context.Context, until time.Time, limit int) ([]stepwell.Deadline, error) {
	m, err := c.state.ListDeadlines(ctx, &statev1.ListDeadlinesRequest{UntilTime: wire.Time(until), PageSize: int32(limit)})
	return wire.Each(m.GetDeadlines(), wire.FromDeadline), err
}

// MoveDeadlines implements store.Backlog.
func (c *Client) MoveDeadlines(ctx context.Context, deadlines []stepwell.Deadline) error {
	_, err := c.state.MoveDeadlines(ctx, &statev1.MoveDeadlinesRequest{Deadlines: wire.Each(deadlines, wire.Deadline)})
	return err
}

// DueBuffers implements store.Backlog.
func (c *Client) DueBuffers(ctx context.Context, now time.Time, limit int) ([]store.DueBuffer, time.Time, error) {
	m, err := c.state.ListDueBuffers(ctx, &statev1.ListDueBuffersRequest{Time: wire.Time(now), PageSize: int32(limit)})
	return wire.Each(m.GetBuffers(), fromDueBuffer), wire.FromTime(m.GetNextTime()), err
}

// LookBacks implements store.Matcher.
func (c *Client) LookBacks(ctx context.Context, limit int) ([]store.LookBack, error) {
	m, err := c.state.ListLookBacks(ctx, &statev1.ListLookBacksRequest{PageSize: int32(limit)})
	return wire.Each(m.GetLookBacks(), fromLookBack), err
}

// LookedBack implements store.Matcher.
func (c *Client) LookedBack(ctx context.Context, waits []stepwell.Wait) error {
	_, err := c.state.EndLookBacks(ctx, &statev1.EndLookBacksRequest{Waits: wire.Each(waits, wire.Wait)})
	return err
}

// Run implements store.Reader.
func (c *Client) Run(
	ctx context.Context, environment stepwell.EnvironmentID, id stepwell.RunID,
) (stepwell.Run, error) {
	m, err := c.state.GetRun(ctx, &statev1.GetRunRequest{
		EnvironmentId: wire.UUID(environment.UUID), RunId: wire.ULID(id.ULID),
	})
	if err != nil {
		return stepwell.Run{}, err
	}
	return wire.FromRun(m.GetRun()), nil
}

// RunHistory implements store.Reader.
func (c *Client) RunHistory(
	ctx context.Context, environment stepwell.EnvironmentID, id stepwell.RunID,
) (stepwell.RunHistory, error) {
	m, err := c.state.GetRunHistory(ctx, &statev1.GetRunHistoryRequest{
		EnvironmentId: wire.UUID(environment.UUID), RunId: wire.ULID(id.ULID),
	})
	if err != nil {
		return stepwell.RunHistory{}, err
	}
	return wire.FromRunHistory(m.GetHistory()), nil
}

// Runs implements store.Reader.
func (c *Client) Runs(ctx context.Context, query store.RunQuery) ([]stepwell.Run, error) {
	m, err := c.state.ListRuns(ctx, &statev1.ListRunsRequest{
		EnvironmentId: wire.UUID(query.Environment.UUID), EventId: wire.ULID(query.Event.ULID),
		FunctionId: wire.UUID(query.Function.UUID), Statuses: wire.Each(query.Statuses, wire.RunStatus),
		BeforeRunId: wire.ULID(query.Before.ULID), PageSize: int32(query.Limit),
	})
	return wire.Each(m.GetRuns(), wire.FromRun), err
}

// Event implements store.Reader.
func (c *Client) Event(
	ctx context.Context, environment stepwell.EnvironmentID, id stepwell.EventID,
) (stepwell.Event, error) {
	m, err := c.state.GetEvent(ctx, &statev1.GetEventRequest{
		EnvironmentId: wire.UUID(environment.UUID), EventId: wire.ULID(id.ULID),
	})
	if err != nil {
		return stepwell.Event{}, err
	}
	return wire.FromEvent(m.GetEvent()), nil
}

// Events implements store.Reader.
func (c *Client) Events(ctx context.Context, query store.EventQuery) ([]stepwell.Event, error) {
	m, err := c.state.ListEvents(ctx, &statev1.ListEventsRequest{
		EnvironmentId: wire.UUID(query.Environment.UUID), Name: query.Name,
		BeforeEventId: wire.ULID(query.Before.ULID), PageSize: int32(query.Limit),
	})
	return wire.Each(m.GetEvents(), wire.FromEvent), err
}
