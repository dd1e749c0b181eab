package redisqueue

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// metrics are what operators see of Redis, and of leases that nobody gave back.
type metrics struct {
	commands    telemetry.Durations
	expired     telemetry.Counter
	quarantined telemetry.Counter
}

func newMetrics(meter *telemetry.Meter) (metrics, error) {
	return metrics{
		commands: meter.Durations("stepwell.redis.command",
			"How long round trips to Redis take, by the script that they are for"),
		expired: meter.Counter("stepwell.lease_expired", "{lease}",
			"Leases that expired: their executor was killed, or said nothing for executor.lease_for"),
		quarantined: meter.Counter("stepwell.poison_quarantined", "{item}",
			"Items that were set aside as dead, since too many leases of them expired"),
	}, meter.Err()
}

// labelsOf are those of a script's calls with a result.
func labelsOf(script, result string) telemetry.Labels {
	return telemetry.NewLabels(attribute.String("command", script), attribute.String("result", result))
}

// count counts a round trip of some calls, and what the script advance says that it did. The last call is what the
// others were made for.
func (m *metrics) count(ctx context.Context, took time.Duration, calls []call, replies []reply, advance *script) {
	if len(calls) == 0 {
		return
	}
	last := len(calls) - 1
	labels := calls[last].script.answered
	if replies[last].err != nil {
		labels = calls[last].script.failed
	}
	m.commands.Record(ctx, took, labels)
	for i, c := range calls {
		if c.script == advance && replies[i].err == nil {
			m.expired.Add(ctx, int(number(element(replies[i].value, 1))), telemetry.Labels{})
			m.quarantined.Add(ctx, int(number(element(replies[i].value, 2))), telemetry.Labels{})
		}
	}
}
