package redisqueue_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/redistest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestDiagnose(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "allkeys-lru")
	q := openAt(t, server, 3)
	facts, err := q.Diagnose(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^\d+\.\d+`, facts.Version)
	require.Equal(t, "allkeys-lru", facts.Eviction)
	require.Zero(t, facts.Shards, "looking stores nothing")
	require.WithinDuration(t, time.Now(), facts.Now, time.Minute)
	require.NoError(t, q.Check(t.Context()))
	facts, err = q.Diagnose(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, facts.Shards)

	server.Stop()
	_, err = q.Diagnose(t.Context())
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
}

func TestDiagnoseOfACluster(t *testing.T) {
	t.Parallel()
	q := open(t, func(c *redisqueue.Config) { c.URL = clusterURL(t) })
	facts, err := q.Diagnose(t.Context())
	require.NoError(t, err)
	require.Equal(t, "noeviction", facts.Eviction)
}
