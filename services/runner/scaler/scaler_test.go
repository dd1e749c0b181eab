package scaler_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/stepwell/stepwell/proto/gen/externalscaler"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/memqueue"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/runner/scaler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched is a queue that counts how often it is looked at, and may be away.
type watched struct {
	*memqueue.Queue
	looks atomic.Int64
	away  atomic.Bool
}

func (w *watched) Stats(ctx context.Context, now time.Time) (queue.Stats, error) {
	w.looks.Add(1)
	if w.away.Load() {
		return queue.Stats{}, fmt.Errorf("redis: %w", stepwell.ErrUnavailable)
	}
	return w.Queue.Stats(ctx, now)
}

// rig is KEDA at one end and a queue at the other.
type rig struct {
	externalscaler.ExternalScalerClient
	*testing.T
	conn  *grpc.ClientConn
	queue *watched
	// stop stops the service, as a program that ends does: before the server, which serves until the test ends.
	stop  func()
	items int
}

// play runs a test with a rig, in fake time.
func play(t *testing.T, test func(r *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, queue: &watched{Queue: memqueue.New()}}
		service, err := scaler.New(scaler.Deps{Queue: r.queue})
		require.NoError(t, err)
		network := rpc.NewMemory()
		listener, err := network.Listen("scaler")
		require.NoError(t, err)
		r.conn, err = network.Dial("scaler")
		require.NoError(t, err)
		r.ExternalScalerClient = externalscaler.NewExternalScalerClient(r.conn)
		server := rpc.NewServer(listener, slog.New(slog.DiscardHandler), service.Register)
		serving, stopServer := context.WithCancel(t.Context())
		running, stopService := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- server.Run(serving) }() // awaited below
		go func() { ended <- service.Run(running) }()
		r.stop = stopService
		test(r)
		stopService()
		require.NoError(t, <-ended)
		began := time.Now()
		stopServer()
		require.NoError(t, <-ended)
		require.Zero(t, time.Since(began), "no stream is waited for")
		require.NoError(t, r.conn.Close())
	})
}

// enqueue puts so many items in that are due after some time.
func (r *rig) enqueue(count int, after time.Duration) {
	r.Helper()
	for range count {
		r.items++
		id := stepwell.NewFunctionID(stepwell.AppID{}, "f")
		run := stepwell.Run{ID: stepwell.NewRunID(time.Now(), id, fmt.Sprint(r.items)), Function: id}
		item := stepwell.NewDiscovery(run, 1, time.Now().Add(after))
		require.NoError(r, r.queue.Enqueue(r.Context(), time.Now(), []stepwell.Item{item}))
	}
}

// lease leases so many items for an hour.
func (r *rig) lease(count int) []queue.Lease {
	r.Helper()
	leased, err := r.queue.Lease(r.Context(), queue.LeaseRequest{
		Now: time.Now(), Max: count, Until: time.Now().Add(time.Hour),
	})
	require.NoError(r, err)
	require.Len(r, leased.Leases, count)
	return leased.Leases
}

// values are what the metrics are, by their names.
func (r *rig) values(name string) map[string]float64 {
	r.Helper()
	<-time.After(time.Second) // what was read before is old
	response, err := r.GetMetrics(r.Context(), &externalscaler.GetMetricsRequest{MetricName: name})
	require.NoError(r, err)
	values := map[string]float64{}
	for _, value := range response.GetMetricValues() {
		values[value.GetMetricName()] = value.GetMetricValueFloat()
		require.InDelta(r, value.GetMetricValueFloat(), value.GetMetricValue(), 0.999)
		require.GreaterOrEqual(r, float64(value.GetMetricValue()), value.GetMetricValueFloat(), "rounded up")
	}
	return values
}

func (r *rig) active() bool {
	r.Helper()
	<-time.After(time.Second)
	response, err := r.IsActive(r.Context(), &externalscaler.ScaledObjectRef{})
	require.NoError(r, err)
	return response.GetResult()
}

// TestMetricsSayHowMuchIsDue, and since when: what waits, what is worked on too, and not what is due later.
func TestMetricsSayHowMuchIsDue(t *testing.T) {
	play(t, func(r *rig) {
		none := map[string]float64{"ready_items": 0, "due_items": 0, "oldest_due_seconds": 0}
		require.Equal(r, none, r.values(""))
		r.enqueue(7, time.Minute)
		require.Equal(r, none, r.values(""))
		require.False(r, r.active())
		r.enqueue(5, 0)
		require.Equal(r, map[string]float64{"ready_items": 5, "due_items": 5, "oldest_due_seconds": 1}, r.values(""))
		require.True(r, r.active())
		<-time.After(500 * time.Millisecond)
		require.Equal(r, map[string]float64{"oldest_due_seconds": 3.5}, r.values("oldest_due_seconds"))
		leases := r.lease(5)
		require.Equal(r, map[string]float64{"ready_items": 0, "due_items": 5, "oldest_due_seconds": 0}, r.values(""))
		require.True(r, r.active(), "somebody works")
		for _, lease := range leases {
			_, err := r.queue.Ack(r.Context(), queue.AckRequest{Now: time.Now(), Lease: lease})
			require.NoError(r, err)
		}
		require.False(r, r.active())
		<-time.After(time.Minute)
		require.Equal(r, map[string]float64{"due_items": 7}, r.values("due_items"))
	})
}

func TestTargetsAreOfTheMetadata(t *testing.T) {
	play(t, func(r *rig) {
		for _, test := range []struct {
			metadata map[string]string
			floats   []float64
			rounded  []int64
		}{
			{nil, []float64{100, 100, 5}, []int64{100, 100, 5}},
			{
				map[string]string{
					"readyItems": " 20 ", "dueItems": "64", "oldestDueSeconds": "0.5", "scalerAddress": "runner:9100", "enableTLS": "true",
				},
				[]float64{20, 64, 0.5},
				[]int64{20, 64, 1},
			},
		} {
			response, err := r.GetMetricSpec(r.Context(), &externalscaler.ScaledObjectRef{ScalerMetadata: test.metadata})
			require.NoError(r, err)
			require.Len(r, response.GetMetricSpecs(), 3)
			for i, name := range []string{"ready_items", "due_items", "oldest_due_seconds"} {
				spec := response.GetMetricSpecs()[i]
				require.Equal(r, name, spec.GetMetricName())
				require.InDelta(r, test.floats[i], spec.GetTargetSizeFloat(), 0)
				require.Equal(r, test.rounded[i], spec.GetTargetSize())
			}
		}
	})
}

// TestBadMetadataIsNamed, by every RPC.
func TestBadMetadataIsNamed(t *testing.T) {
	play(t, func(r *rig) {
		calls := map[string]func(ref *externalscaler.ScaledObjectRef) error{
			"IsActive": func(ref *externalscaler.ScaledObjectRef) error {
				_, err := r.IsActive(r.Context(), ref)
				return err
			},
			"StreamIsActive": func(ref *externalscaler.ScaledObjectRef) error {
				stream, err := r.StreamIsActive(r.Context(), ref)
				require.NoError(r, err)
				_, err = stream.Recv()
				return rpc.FromStatus(rpc.ToStatus(err))
			},
			"GetMetricSpec": func(ref *externalscaler.ScaledObjectRef) error {
				_, err := r.GetMetricSpec(r.Context(), ref)
				return err
			},
			"GetMetrics": func(ref *externalscaler.ScaledObjectRef) error {
				_, err := r.GetMetrics(r.Context(), &externalscaler.GetMetricsRequest{ScaledObjectRef: ref})
				return err
			},
		}
		for name, call := range calls {
			for value, shown := range map[string]string{
				"many": `"many"`, "0": `"0"`, "-3": `"-3"`, "NaN": `"NaN"`, "1e10": `"1e10"`, "": `""`,
			} {
				err := call(&externalscaler.ScaledObjectRef{ScalerMetadata: map[string]string{"readyItems": value}})
				require.ErrorIs(r, err, stepwell.ErrInvalid, name)
				require.EqualError(r, err,
					"metadata of the trigger: readyItems is "+shown+", it must be a number above 0, such as 100", name)
			}
			err := call(&externalscaler.ScaledObjectRef{ScalerMetadata: map[string]string{
				"readyitems": "5", "oldestDueSeconds": "x", "scalerAddress": "a:1",
			}})
			require.EqualError(r, err, `metadata of the trigger: oldestDueSeconds is "x", it must be a number above 0, such as 5; `+
				`"readyitems" is no key; there are readyItems, dueItems, oldestDueSeconds`, name)
		}
		many := map[string]string{}
		for n := range 1000 {
			many[fmt.Sprint("key", n)] = "1"
		}
		err := calls["IsActive"](&externalscaler.ScaledObjectRef{ScalerMetadata: many})
		require.Less(r, len(err.Error()), 1000)
		_, err = r.GetMetrics(r.Context(), &externalscaler.GetMetricsRequest{MetricName: "queue_depth"})
		require.ErrorIs(r, err, stepwell.ErrInvalid)
		require.EqualError(r, err, `there is no metric "queue_depth", only ready_items, due_items, oldest_due_seconds`)
		require.Zero(r, r.queue.looks.Load())
	})
}

// TestStreamTellsChanges, and nothing else, soon after they happen.
func TestStreamTellsChanges(t *testing.T) {
	play(t, func(r *rig) {
		stream, err := r.StreamIsActive(r.Context(), &externalscaler.ScaledObjectRef{})
		require.NoError(r, err)
		next := func(want bool, within time.Duration) {
			began := time.Now()
			response, err := stream.Recv()
			require.NoError(r, err)
			require.Equal(r, want, response.GetResult())
			require.LessOrEqual(r, time.Since(began), within)
		}
		next(false, 0)
		<-time.After(5 * time.Second)
		r.enqueue(1, 0)
		next(true, 2*time.Second)
		lease := r.lease(1)[0]
		<-time.After(5 * time.Second) // leased is active, too
		r.queue.away.Store(true)
		_, err = r.queue.Ack(r.Context(), queue.AckRequest{Now: time.Now(), Lease: lease})
		require.NoError(r, err)
		<-time.After(5 * time.Second) // what cannot be looked at has not changed
		r.queue.away.Store(false)
		next(false, 2*time.Second)

		r.stop()
		_, err = stream.Recv()
		require.ErrorIs(r, err, io.EOF, "a program that stops ends its streams")
	})
}

// TestStreamEndsByItself, without an error, before its connection grows too old.
func TestStreamEndsByItself(t *testing.T) {
	play(t, func(r *rig) {
		began := time.Now()
		stream, err := r.StreamIsActive(r.Context(), &externalscaler.ScaledObjectRef{})
		require.NoError(r, err)
		for err == nil {
			_, err = stream.Recv()
		}
		require.ErrorIs(r, err, io.EOF)
		require.Equal(r, rpc.StreamMax, time.Since(began))
	})
}

// TestManyWhoAskCostNoMore than one look a second.
func TestManyWhoAskCostNoMore(t *testing.T) {
	play(t, func(r *rig) {
		ctx, cancel := context.WithCancel(r.Context())
		for range 20 {
			stream, err := r.StreamIsActive(ctx, &externalscaler.ScaledObjectRef{})
			require.NoError(r, err)
			_, err = stream.Recv()
			require.NoError(r, err)
		}
		require.EqualValues(r, 1, r.queue.looks.Load())
		for range 10 {
			<-time.After(time.Second)
			for range 10 {
				_, err := r.IsActive(r.Context(), &externalscaler.ScaledObjectRef{})
				require.NoError(r, err)
			}
		}
		require.LessOrEqual(r, r.queue.looks.Load(), int64(11))
		cancel()
	})
}

// TestQueueThatIsAwayIsNoWork: KEDA must not scale in because nobody could be asked.
func TestQueueThatIsAwayIsNoWork(t *testing.T) {
	play(t, func(r *rig) {
		r.queue.away.Store(true)
		_, err := r.IsActive(r.Context(), &externalscaler.ScaledObjectRef{})
		require.ErrorIs(r, err, stepwell.ErrUnavailable)
		_, err = r.GetMetrics(r.Context(), &externalscaler.GetMetricsRequest{MetricName: "ready_items"})
		require.ErrorIs(r, err, stepwell.ErrUnavailable)
		require.ErrorContains(r, err, "look at the queue")
		stream, err := r.StreamIsActive(r.Context(), &externalscaler.ScaledObjectRef{})
		require.NoError(r, err)
		_, err = stream.Recv()
		require.ErrorIs(r, rpc.FromStatus(rpc.ToStatus(err)), stepwell.ErrUnavailable)
		r.queue.away.Store(false)
		require.False(r, r.active())
	})
}

// hanging is a queue that does not answer.
type hanging struct{ *memqueue.Queue }

func (hanging) Stats(ctx context.Context, _ time.Time) (queue.Stats, error) {
	<-ctx.Done()
	return queue.Stats{}, ctx.Err()
}

// TestWhoWaitsForItsTurnHasADeadline, whatever those before it do.
func TestWhoWaitsForItsTurnHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service, err := scaler.New(scaler.Deps{Queue: hanging{memqueue.New()}})
		require.NoError(t, err)
		first, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := service.IsActive(first, nil)
			ended <- err
		}()
		synctest.Wait()
		second, cancelSecond := context.WithTimeout(t.Context(), time.Second)
		defer cancelSecond()
		_, err = service.IsActive(second, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

func TestQueueIsNeeded(t *testing.T) {
	t.Parallel()
	_, err := scaler.New(scaler.Deps{})
	require.EqualError(t, err, "scaler: a queue is needed")
}

// TestWhatWaitsForALimitNeedsNoExecutors: more of them would not work on it.
func TestWhatWaitsForALimitNeedsNoExecutors(t *testing.T) {
	play(t, func(r *rig) {
		lock := queue.Lock{Name: "rebuild", Owner: "test"}
		_, err := r.queue.TryLock(r.Context(), lock, time.Minute)
		require.NoError(r, err)
		require.NoError(r, r.queue.MarkRebuilt(r.Context(), lock, time.Now()))
		function := stepwell.NewFunctionID(stepwell.AppID{}, "f")
		require.NoError(r, r.queue.SetLimits(r.Context(), []queue.FunctionLimits{{
			Function: function, Revision: 1, Limits: []stepwell.Limit{{Most: 2}},
		}}))
		r.enqueue(500, 0)
		leases := r.lease(2)
		require.Equal(r, map[string]float64{"ready_items": 0, "due_items": 2, "oldest_due_seconds": 0}, r.values(""))
		for _, lease := range leases {
			_, err := r.queue.Ack(r.Context(), queue.AckRequest{Now: time.Now(), Lease: lease})
			require.NoError(r, err)
		}
		require.True(r, r.active(), "the limit has room again")
	})
}
