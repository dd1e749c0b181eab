// Package executorclient is the executor service from afar.
//
// It must not keep anything: every answer is the service's.
package executorclient

import (
	"context"

	"google.golang.org/grpc"

	executorv1 "github.com/stepwell/stepwell/proto/gen/stepwell/executor/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
)

// Client calls the executor.
type Client struct {
	executor executorv1.ExecutorServiceClient
}

// New returns a client on a connection of package rpc, which the caller closes.
func New(conn grpc.ClientConnInterface) *Client {
	return &Client{executor: executorv1.NewExecutorServiceClient(conn)}
}

// Checkpoint is what an app reports while its call goes on.
type Checkpoint struct {
	Environment stepwell.EnvironmentID
	Run         stepwell.RunID
	Item        stepwell.ItemID
	// Generation is the lease under which the call was made; 0 if the app did not say.
	Generation int
	// Ops is a JSON array, as the app sent it.
	Ops []byte
}

// Checkpoint records the steps. Errors: stepwell.ErrNotFound if the run is unknown, stepwell.ErrConflict if the app must
// stop, stepwell.ErrInvalid, stepwell.ErrTooLarge, stepwell.ErrUnavailable.
func (c *Client) Checkpoint(ctx context.Context, report Checkpoint) error {
	_, err := c.executor.Checkpoint(ctx, &executorv1.CheckpointRequest{
		EnvironmentId: wire.UUID(report.Environment.UUID), RunId: wire.ULID(report.Run.ULID),
		ItemId: string(report.Item), Generation: int32(report.Generation), Ops: report.Ops,
	})
	return err
}

// Report is what an app tells of a request to one of its endpoints.
type Report struct {
	Environment stepwell.EnvironmentID
	Run         stepwell.RunID
	// Ops is a JSON array, as the app sent it.
	Ops []byte
}

// Report records what the app tells. Errors: stepwell.ErrNotFound if the run is unknown, stepwell.ErrConflict if it goes
// on without the app or has ended, stepwell.ErrInvalid, stepwell.ErrTooLarge, stepwell.ErrUnavailable.
func (c *Client) Report(ctx context.Context, report Report) error {
	_, err := c.executor.Report(ctx, &executorv1.ReportRequest{
		EnvironmentId: wire.UUID(report.Environment.UUID), RunId: wire.ULID(report.Run.ULID), Ops: report.Ops,
	})
	return err
}

// RequestSync asks the app at a URL what it serves. It returns the app's registration, or nothing if the app registers
// itself. Errors: stepwell.ErrUnavailable if nothing answers there, stepwell.ErrInvalid if it is no app or refused.
func (c *Client) RequestSync(ctx context.Context, url string) ([]byte, error) {
	m, err := c.executor.RequestSync(ctx, &executorv1.RequestSyncRequest{Url: url})
	return m.GetRegistration(), err
}
