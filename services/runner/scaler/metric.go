package scaler

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// metricKind is a metric: what it is called, how much of it is for one replica, and how much there is.
type metricKind struct {
	name string
	// key is where users set the target, in the metadata of the trigger; target is the default.
	key    string
	target float64
	value  func(now reading) float64
}

// String is the metric's name.
func (m metricKind) String() string { return m.name }

// The targets for one replica.
const (
	// itemsPerReplica is how many items an executor works on at a time by default.
	itemsPerReplica = 100
	// secondsPerReplica is how long the oldest item may wait for each replica that there is.
	secondsPerReplica = 5
	// targetMax bounds what users may set.
	targetMax = 1e9
)

// metrics are those there are. What waits for a limit does not count: more executors would not work on it.
//
// Of what each asks for, KEDA takes the most replicas.
func metrics() []metricKind {
	return []metricKind{{
		name: "ready_items", key: "readyItems", target: itemsPerReplica,
		value: func(now reading) float64 { return float64(now.Ready - now.Held) },
	}, {
		// Executors that are busy leave nothing waiting when they are just enough. By what waits alone they would be
		// taken away then, and be missed.
		name: "due_items", key: "dueItems", target: itemsPerReplica,
		value: func(now reading) float64 { return float64(now.Ready - now.Held + now.Leased) },
	}, {
		name: "oldest_due_seconds", key: "oldestDueSeconds", target: secondsPerReplica,
		value: func(now reading) float64 {
			if now.OldestDueAt.IsZero() {
				return 0
			}
			return max(0, now.at.Sub(now.OldestDueAt).Seconds())
		},
	}}
}

// foreignKeys are those of KEDA's own that it hands on with ours.
func foreignKeys() []string {
	return []string{"scalerAddress", "enableTLS", "unsafeSsl", "tlsCertFile", "caCert", "tlsClientCert", "tlsClientKey"}
}

// problemsMax bounds how many problems of metadata are told at once.
const problemsMax = 10

// readTargets returns the target of each metric, in their order. The error is stepwell.ErrInvalid and names what is wrong
// with the metadata: a key that is not known would be a target that is silently another.
func readTargets(metadata map[string]string) ([]float64, error) {
	var problems []string
	known := foreignKeys()
	targets := make([]float64, len(metrics()))
	for i, metric := range metrics() {
		known, targets[i] = append(known, metric.key), metric.target
		text, set := metadata[metric.key]
		if !set {
			continue
		}
		target, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || !(target > 0 && target <= targetMax) { // what is no number is neither
			problems = append(problems, metric.key+" is "+strconv.Quote(text)+", it must be a number above 0, such as "+
				strconv.FormatFloat(metric.target, 'g', -1, 64))
			continue
		}
		targets[i] = target
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if !slices.Contains(known, key) {
			problems = append(problems, strconv.Quote(key)+" is no key; there are "+
				list(metrics(), func(m metricKind) string { return m.key }))
		}
	}
	if len(problems) > 0 {
		return nil, stepwell.Invalidf("metadata of the trigger: %s", strings.Join(problems[:min(len(problems), problemsMax)], "; "))
	}
	return targets, nil
}

// list names what there is.
func list[T any](all []T, name func(T) string) string {
	names := make([]string, len(all))
	for i, each := range all {
		names[i] = name(each)
	}
	return strings.Join(names, ", ")
}
