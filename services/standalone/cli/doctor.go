package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepwell/stepwell/services/internal/queue/redisqueue"
	"github.com/stepwell/stepwell/services/internal/telemetry"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

// verdict is what a check of the doctor came to.
type verdict string

// The verdicts. A problem keeps the server from doing its work, or from keeping its promise; a warning may.
const (
	fine    verdict = "ok"
	warning verdict = "warning"
	problem verdict = "problem"
)

// finding is a line of the doctor's report.
type finding struct {
	Verdict verdict `json:"verdict"`
	Check   string  `json:"check"`
	Text    string  `json:"text"`
}

// findings are the report.
type findings []finding

func (f *findings) add(v verdict, check, format string, args ...any) {
	*f = append(*f, finding{Verdict: v, Check: check, Text: fmt.Sprintf(format, args...)})
}

func (f findings) count(v verdict) int {
	n := 0
	for _, found := range f {
		if found.Verdict == v {
			n++
		}
	}
	return n
}

func (f findings) print(w io.Writer) {
	for _, found := range f {
		fmt.Fprintf(w, "%-8s %-9s %s\n", found.Verdict, found.Check, found.Text)
	}
}

func newDoctor(version string, environ []string, o *options) *cobra.Command {
	program, s := startProgram(version, environ)
	cmd := program.LoadedCommand(&cobra.Command{
		Use: "doctor", Short: "Check the settings of `stepwell start`, and all that they name: Postgres, Redis, keys, certificate, apps",
		Long: "Check the settings of `stepwell start`, and all that they name: Postgres, Redis, keys, the certificate, apps, and\n" +
			"the server if it runs. Each line is ok, a warning or a problem, with what to do. It changes nothing, and exits with 1\n" +
			"if there is a problem.",
		Example: "  stepwell doctor --config stepwell.yaml",
	}, func(cmd *cobra.Command) error {
		report := s.examine(cmd.Context(), o.server)
		if o.asJSON {
			if err := printJSON(cmd.OutOrStdout(), report); err != nil {
				return err
			}
		} else {
			report.print(cmd.OutOrStdout())
		}
		if n := report.count(problem); n > 0 {
			return fmt.Errorf("problems: %d, warnings: %d", n, report.count(warning))
		}
		return nil
	})
	o.addJSON(cmd)
	return cmd
}

// examine makes all checks. Settings that are wrong, keys that are weak among them, were refused when they were loaded.
func (s *startSettings) examine(ctx context.Context, server string) findings {
	var f findings
	f.add(fine, "settings", "all are known and valid; `stepwell config` shows them")
	f.add(fine, "keys", "event keys: %d, signing keys: %d; the first signing key signs calls to apps",
		len(s.EventKeys), len(s.SigningKeys))
	s.examinePostgres(ctx, &f)
	s.examineRedis(ctx, &f)
	for _, url := range s.Apps.URLs {
		s.examineApp(ctx, &f, url)
	}
	if len(s.Apps.URLs) == 0 {
		f.add(fine, "app", "none in apps.urls: apps register themselves, or name their endpoints there")
	}
	shown := s.examineCertificate(&f)
	if server != serverDefault {
		examineServer(ctx, &f, server, nil)
		return f
	}
	scheme := "http://" // nobody said where it is
	if shown != nil {
		scheme = "https://"
	}
	examineServer(ctx, &f, scheme+localAddress(s.HTTPAddress()), shown)
	return f
}

// clockDifferenceMax is how far clocks may be apart before it is worth a warning. Nothing depends on those of Postgres and
// Redis, but where they differ, those of the servers may.
const clockDifferenceMax = time.Second

// examineClock compares a clock that was read between two instants of ours with ours.
func examineClock(f *findings, check string, theirs, before, after time.Time) {
	if difference := clockDifference(theirs, before, after); difference > clockDifferenceMax {
		f.add(warning, check, "its clock differs from this machine's by %s: let NTP set both", difference.Round(time.Millisecond))
	}
}

// clockDifference is at least how far a clock is off that showed theirs at some time between two of ours.
func clockDifference(theirs, before, after time.Time) time.Duration {
	return max(0, before.Sub(theirs), theirs.Sub(after))
}

func (s *startSettings) examinePostgres(ctx context.Context, f *findings) {
	urls := map[string]string{"postgres": s.Database.URL, "replica": s.Database.ReadURL}
	for _, check := range []string{"postgres", "replica"} {
		if urls[check] == "" {
			continue
		}
		config := s.Database
		config.URL, config.ReadURL = urls[check], ""
		store, err := pgstore.Open(ctx, config, pgstore.Deps{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			f.add(problem, check, "%v", err)
			continue
		}
		before := time.Now()
		facts, err := store.Diagnose(ctx)
		after := time.Now()
		store.Close()
		if err != nil {
			f.add(problem, check, "%v", err)
			continue
		}
		if check == "replica" {
			f.add(fine, check, "version %s answers; it may be behind, and only reads go there", postgresVersion(facts.Version))
		} else {
			judgePostgres(f, facts, s)
		}
		examineClock(f, check, facts.Now, before, after)
	}
}

// postgresMin is the oldest Postgres that is supported, the first that compresses with lz4.
const postgresMin = 140000

func postgresVersion(number int) string { return fmt.Sprintf("%d.%d", number/10000, number%10000) }

// judgePostgres says what the facts mean. The first line tells the version; the others are what is wrong.
func judgePostgres(f *findings, facts pgstore.Facts, s *startSettings) {
	const check = "postgres"
	version, pools := postgresVersion(facts.Version), s.Database.ConnectionsMax+s.Database.ReadConnectionsMax
	found := len(*f)
	switch {
	case facts.Version < postgresMin:
		f.add(problem, check, "version %s is too old: upgrade to 14 or later", version)
	case facts.ReadOnly:
		f.add(problem, check, "it is read-only: database_url must name the primary")
	}
	switch {
	case facts.Schema >= facts.SchemaNeeded:
	case s.Migrate:
		f.add(warning, check, "the schema is at version %d; `stepwell start` will bring it to %d", facts.Schema, facts.SchemaNeeded)
	default:
		f.add(problem, check, "the schema is at version %d, this release needs %d: run `stepwell migrate`",
			facts.Schema, facts.SchemaNeeded)
	}
	if !facts.CommitsToDisk {
		f.add(problem, check, "fsync or synchronous_commit is off: events that were answered with 200 are lost if it crashes; turn "+
			"both on")
	}
	switch {
	case pools > facts.ConnectionsMax:
		f.add(problem, check, "it gives %d connections, and the pools take %d: raise max_connections, or lower "+
			"database.connections_max", facts.ConnectionsMax, pools)
	case pools+facts.ConnectionsUsed > facts.ConnectionsMax:
		f.add(warning, check, "%d of %d connections are in use, and each server's pools take up to %d: raise max_connections, or "+
			"lower database.connections_max", facts.ConnectionsUsed, facts.ConnectionsMax, pools)
	}
	if len(*f) == found {
		f.add(fine, check, "version %s, schema %d, takes writes; %d of %d connections are in use, the pools take up to %d",
			version, facts.Schema, facts.ConnectionsUsed, facts.ConnectionsMax, pools)
	}
}

func (s *startSettings) examineRedis(ctx context.Context, f *findings) {
	const check = "redis"
	queue, err := redisqueue.New(s.Redis, telemetry.Telemetry{})
	if err != nil {
		f.add(problem, check, "%v", err)
		return
	}
	before := time.Now()
	facts, err := queue.Diagnose(ctx)
	after := time.Now()
	if err = errors.Join(err, queue.Close(ctx)); err != nil {
		f.add(problem, check, "%v", err)
		return
	}
	judgeRedis(f, facts, s.Redis)
	examineClock(f, check, facts.Now, before, after)
}

// judgeRedis says what the facts mean.
func judgeRedis(f *findings, facts redisqueue.Facts, config redisqueue.Config) {
	const check = "redis"
	found := len(*f)
	var major, minor int
	if _, err := fmt.Sscanf(facts.Version, "%d.%d", &major, &minor); err != nil || major < 6 || (major == 6 && minor < 2) {
		f.add(problem, check, "version %q is too old: upgrade to 6.2 or later", facts.Version)
	}
	switch facts.Eviction {
	case "noeviction":
	case "":
		f.add(warning, check, "it does not tell its maxmemory-policy, which must be noeviction: look at its settings")
	default:
		f.add(problem, check, "maxmemory-policy is %s, which deletes parts of the queue: set it to noeviction", facts.Eviction)
	}
	if facts.Shards != 0 && facts.Shards != config.Shards {
		f.add(problem, check, "the queue %q has %d shards and redis.shards is %d: set it to %d, or choose another redis.prefix",
			config.Prefix, facts.Shards, config.Shards, facts.Shards)
	}
	if len(*f) > found {
		return
	}
	stored := "not used yet"
	if facts.Shards != 0 {
		stored = fmt.Sprintf("with %d shards", facts.Shards)
	}
	f.add(fine, check, "version %s, evicts nothing; the queue %q is %s", facts.Version, config.Prefix, stored)
}
