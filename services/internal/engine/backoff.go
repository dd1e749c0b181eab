package engine

import "time"

// Backoff says how long to wait before the next attempt.
type Backoff struct {
	// First is the delay after the first failure; the later ones grow from it. Zero means the protocol's table as it is.
	First time.Duration
}

// The protocol's table grows from firstDelay; jitterMax is added at random.
const (
	firstDelay = 15 * time.Second
	jitterMax  = 30 * time.Second
)

// delays is the protocol's table; its last entry repeats.
func delays() []time.Duration {
	return []time.Duration{
		firstDelay, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
		20 * time.Minute, 40 * time.Minute, time.Hour, 2 * time.Hour,
	}
}

// Delay is the wait after the failure of an attempt, counted from 0. jitter is a random number in [0, 1). With First
// set, the table is scaled so that it begins there, and the jitter is a tenth of the delay.
func (b Backoff) Delay(attempt int, jitter float64) time.Duration {
	table := delays()
	delay := table[min(attempt, len(table)-1)]
	if b.First == 0 {
		return delay + time.Duration(jitter*float64(jitterMax))
	}
	scaled := float64(delay) * float64(b.First) / float64(firstDelay)
	return time.Duration(scaled * (1 + jitter/10))
}

// An app that cannot be reached is tried again after as long as it has been away, within these bounds.
const (
	systemDelayMin = time.Second
	systemDelayMax = 30 * time.Second
)

// systemDelay is the wait after a call that reached no app, which has been away for some time. That doubles the time
// away with each call. jitter is a random number in [0, 1) and adds up to half of the delay.
func systemDelay(away time.Duration, jitter float64) time.Duration {
	delay := float64(min(max(away, systemDelayMin), systemDelayMax))
	return time.Duration(delay * (1 + jitter/2))
}
