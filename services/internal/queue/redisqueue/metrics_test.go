package redisqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
)

// TestLeasesThatExpireAreCounted, and so is the item that they quarantine.
func TestLeasesThatExpireAreCounted(t *testing.T) {
	t.Parallel()
	telemeter, seen := telemetrytest.New(t)
	config := redisqueue.DefaultConfig()
	config.URL, config.Prefix, config.Shards = shared.URL, shared.Prefix(t), 1
	q, err := redisqueue.New(config, telemeter)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close(context.WithoutCancel(t.Context()))) })
	stats(t, q) // Redis knows the script advance from now on: else the first one would come after its lease
	now := time.Now()
	enqueue(t, q, newItem("f", 1, now), newItem("f", 2, now))
	for range queue.LeasesMax {
		leased, err := q.Lease(t.Context(), queue.LeaseRequest{Now: now, Max: 2, Until: now.Add(time.Second)})
		require.NoError(t, err)
		require.Len(t, leased.Leases, 2)
		require.NoError(t, q.Remove(t.Context(), nil))
		now = now.Add(time.Minute)
	}
	counted, err := q.Stats(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, queue.Stats{Dead: 2, Shards: []queue.Stats{{Dead: 2}}}, counted)
	require.InDelta(t, 2*queue.LeasesMax, seen.Value(t, "stepwell_lease_expired_total"), 0)
	require.InDelta(t, 2, seen.Value(t, "stepwell_poison_quarantined_total"), 0)
	require.InDelta(t, queue.LeasesMax, seen.Value(t, `stepwell_redis_command_seconds_count{command="lease",result="answered"}`), 0)
	require.Zero(t, seen.Value(t, `stepwell_redis_command_seconds_count{command="lease",result="failed"}`))
}

// TestRedisThatDoesNotAnswerIsCounted as failed.
func TestRedisThatDoesNotAnswerIsCounted(t *testing.T) {
	t.Parallel()
	telemeter, seen := telemetrytest.New(t)
	config := redisqueue.DefaultConfig()
	config.URL, config.Prefix, config.Shards = shared.URL, shared.Prefix(t), 1
	q, err := redisqueue.New(config, telemeter)
	require.NoError(t, err)
	_, err = q.Stats(t.Context(), time.Now())
	require.NoError(t, err)
	require.NoError(t, q.Close(t.Context()))
	_, err = q.Stats(t.Context(), time.Now())
	require.Error(t, err)
	require.InDelta(t, 1, seen.Value(t, `stepwell_redis_command_seconds_count{command="stats",result="failed"}`), 0)
}
