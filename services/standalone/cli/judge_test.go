package cli

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

// TestJudgePostgres has the servers that there are none of in tests.
func TestJudgePostgres(t *testing.T) {
	t.Parallel()
	well := pgstore.Facts{
		Version: 160003, Schema: 1, SchemaNeeded: 1, CommitsToDisk: true, ConnectionsMax: 97, ConnectionsUsed: 20,
	}
	for text, change := range map[string]func(*pgstore.Facts){
		"ok: version 16.3, schema 1, takes writes; 20 of 97 connections are in use, the pools take up to 12": func(*pgstore.Facts) {},
		"ok: version 16.3, schema 2, takes writes; 20 of 97 connections are in use, the pools take up to 12": func(f *pgstore.Facts) { f.Schema = 2 },
		"problem: version 13.9 is too old: upgrade to 14 or later":                                           func(f *pgstore.Facts) { f.Version = 130009 },
		"warning: 90 of 97 connections are in use, and each server's pools take up to 12: raise max_connections, or lower " +
			"database.connections_max": func(f *pgstore.Facts) { f.ConnectionsUsed = 90 },
	} {
		facts := well
		change(&facts)
		var f findings
		judgePostgres(&f, facts, defaultStartSettings())
		require.Len(t, f, 1)
		require.Equal(t, text, string(f[0].Verdict)+": "+f[0].Text)
	}
}

// TestJudgeCertificate: a short-lived one is renewed late in its life, and that is well.
func TestJudgeCertificate(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, test := range []struct {
		lasts, age time.Duration
		verdict    verdict
		text       string
	}{
		{90 * day, 10 * day, fine, "the certificate is good for 80 days, until 2026-05-30 00:00:00 UTC"},
		{90 * day, 75 * day, fine, "the certificate is good for 15 days, until 2026-05-30 00:00:00 UTC"},
		{90 * day, 81 * day, warning, "the certificate ends in 9 days, at 2026-05-30 00:00:00 UTC: put a new one into its file, it " +
			"needs no restart"},
		{90 * day, 91 * day, problem, "the certificate ended at 2026-05-30 00:00:00 UTC: put a new one into its file, it needs no " +
			"restart"},
		{90 * day, -time.Hour, problem, "the certificate begins at 2026-03-01 00:00:00 UTC: is the clock right?"},
		{day, 12 * time.Hour, fine, "the certificate is good for 0 days, until 2026-03-02 00:00:00 UTC"},
		{day, 20 * time.Hour, warning, "the certificate ends in 0 days, at 2026-03-02 00:00:00 UTC: put a new one into its file, it " +
			"needs no restart"},
	} {
		var f findings
		judgeCertificate(&f, &x509.Certificate{NotBefore: begin, NotAfter: begin.Add(test.lasts)}, begin.Add(test.age))
		require.Equal(t, findings{{Verdict: test.verdict, Check: "tls", Text: test.text}}, f)
	}
}

func TestJudgeRedis(t *testing.T) {
	t.Parallel()
	for version, wanted := range map[string]verdict{
		"7.4.1": fine, "6.2.0": fine, "10.0.0": fine, "6.0.16": problem, "5.0": problem, "": problem,
	} {
		var f findings
		judgeRedis(&f, redisqueue.Facts{Version: version, Eviction: "noeviction"}, redisqueue.DefaultConfig())
		require.Len(t, f, 1)
		require.Equal(t, wanted, f[0].Verdict, version)
	}
	var f findings
	judgeRedis(&f, redisqueue.Facts{Version: "7.0.0"}, redisqueue.DefaultConfig())
	require.Len(t, f, 1)
	require.Equal(t, warning, f[0].Verdict)
}

func TestExamineClock(t *testing.T) {
	t.Parallel()
	before := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	after := before.Add(3 * time.Second)
	for offset, differs := range map[time.Duration]bool{
		-time.Second: false, 0: false, 2 * time.Second: false, 4 * time.Second: false,
		-2 * time.Second: true, 5 * time.Second: true, -time.Hour: true,
	} {
		var f findings
		examineClock(&f, "redis", before.Add(offset), before, after)
		require.Equal(t, differs, len(f) == 1, offset)
	}
}

func TestLocalAddress(t *testing.T) {
	t.Parallel()
	for listening, wanted := range map[string]string{
		":80": "localhost:80", "0.0.0.0:80": "localhost:80", "[::]:80": "localhost:80", "10.0.0.1:80": "10.0.0.1:80",
	} {
		require.Equal(t, wanted, localAddress(listening))
	}
}
