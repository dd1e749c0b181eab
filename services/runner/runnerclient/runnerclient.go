// Package runnerclient is the runner service from afar.
//
// It must not keep anything: every answer is the service's.
package runnerclient

import (
	"context"

	"google.golang.org/grpc"

	runnerv1 "github.com/stepwell/stepwell/proto/gen/stepwell/runner/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
)

// Client calls the runner.
type Client struct {
	runner runnerv1.RunnerServiceClient
}

// New returns a client on a connection of package rpc, which the caller closes.
func New(conn grpc.ClientConnInterface) *Client {
	return &Client{runner: runnerv1.NewRunnerServiceClient(conn)}
}

// Publish decides what the events start and stores both, all or nothing. The events belong to one environment.
// Repeating it with the same ids is harmless. Errors: stepwell.ErrTooLarge; stepwell.ErrFull if too much of a function waits
// that they start; stepwell.ErrUnavailable.
func (c *Client) Publish(ctx context.Context, events []stepwell.Event) error {
	// It does not wait for a runner: events are stored without one if none is there.
	_, err := c.runner.Publish(ctx, &runnerv1.PublishRequest{Events: wire.Each(events, wire.Event)}, grpc.WaitForReady(false))
	return err
}

// Nudge says that the store holds something for a runner to look at.
func (c *Client) Nudge(ctx context.Context) error {
	_, err := c.runner.Nudge(ctx, &runnerv1.NudgeRequest{}, grpc.WaitForReady(false))
	return err
}

// SendSignal resumes the run that waits for a signal, and returns it. data is JSON. Errors: stepwell.ErrNotFound if none
// does, stepwell.ErrInvalid, stepwell.ErrUnavailable, which leaves open whether it was.
func (c *Client) SendSignal(
	ctx context.Context, environment stepwell.EnvironmentID, signal string, data []byte,
) (stepwell.RunID, error) {
	m, err := c.runner.SendSignal(ctx, &runnerv1.SendSignalRequest{
		EnvironmentId: wire.UUID(environment.UUID), Signal: signal, Data: data,
	})
	if err != nil {
		return stepwell.RunID{}, err
	}
	return stepwell.RunID{ULID: wire.FromULID(m.GetRunId())}, nil
}

// CancelRun cancels a run. Errors: stepwell.ErrNotFound, stepwell.ErrConflict if it has ended, stepwell.ErrUnavailable.
func (c *Client) CancelRun(ctx context.Context, environment stepwell.EnvironmentID, run stepwell.RunID) error {
	_, err := c.runner.CancelRun(ctx, &runnerv1.CancelRunRequest{
		EnvironmentId: wire.UUID(environment.UUID), RunId: wire.ULID(run.ULID),
	})
	return err
}

// ExplainWaiting tells of those of the items that are due and not worked on why that is so. Errors: stepwell.ErrUnavailable.
func (c *Client) ExplainWaiting(ctx context.Context, items []stepwell.Item) (map[stepwell.ItemID]stepwell.Waiting, error) {
	m, err := c.runner.ExplainWaiting(ctx, &runnerv1.ExplainWaitingRequest{Items: wire.Each(items, wire.Item)},
		grpc.WaitForReady(false))
	if err != nil {
		return nil, err
	}
	return wire.FromWaiting(m.GetWaiting()), nil
}

// EndpointRun is a run that an app works on already.
type EndpointRun struct {
	// ID is the app's.
	ID stepwell.RunID
	// Event tells of the request; its id is stepwell.EndpointEventID.
	Event    stepwell.Event
	Function stepwell.Function
	// RequestVersion is the protocol version of the app's SDK; 0 if it did not say.
	RequestVersion int
}

// StartEndpointRun starts the run and publishes its event. existed tells that there was a run of this id before.
// Repeating it is harmless. Errors: stepwell.ErrUnavailable.
func (c *Client) StartEndpointRun(ctx context.Context, run EndpointRun) (existed bool, err error) {
	m, err := c.runner.StartEndpointRun(ctx, &runnerv1.StartEndpointRunRequest{
		RunId: wire.ULID(run.ID.ULID), Event: wire.Event(run.Event), Function: wire.Function(run.Function),
		RequestVersion: int32(run.RequestVersion),
	})
	return m.GetExisted(), err
}
