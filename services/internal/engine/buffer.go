package engine

import (
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// What runs are told that invoke a function which does not start, because of others or any more.
const (
	Displaced = "invoked function is debounced: another event took the place of this one"
	Archived  = "invoked function no longer exists"
)

// Batches tells whether an event may wait for others in a batch. What invokes the function, or is an instant of a cron
// trigger, does not: somebody waits for its own result, or wants it on time.
func Batches(event stepwell.Event) bool {
	return event.Name != stepwell.EventInvoked && event.Name != stepwell.TimerEventName
}

// Debounce has a start wait for quiet.
func Debounce(start *stepwell.RunStart, with stepwell.Debounce, keyHash []byte, event stepwell.Event) {
	buffer(start, event, stepwell.Buffering{
		KeyHash: keyHash, For: with.Period, Within: with.Timeout,
		Displaced: Refusal(event, Displaced, start.Run.CreatedAt),
	})
}

// Batch has a start wait for others.
func Batch(start *stepwell.RunStart, with stepwell.Batch, keyHash []byte, event stepwell.Event) {
	buffer(start, event, stepwell.Buffering{KeyHash: keyHash, For: with.Timeout, SizeMax: with.SizeMax})
}

func buffer(start *stepwell.RunStart, event stepwell.Event, with stepwell.Buffering) {
	with.EventTime, with.Bytes = event.Time, len(event.AppendJSON(nil))
	start.Buffering = &with
	start.Waits, start.Deadline = nil, time.Time{} // they are decided when it starts
}

// Fire is what the buffer of a function starts, whose first event is given.
func Fire(function stepwell.Function, buffer stepwell.Buffer, first stepwell.Event, now time.Time) stepwell.RunStart {
	if buffer.Batch {
		return StartBatch(function, first, buffer.Run.Events, now)
	}
	return Start(function, first, now)
}

// Abandon records a buffer as skipped whose function is gone.
func Abandon(buffer stepwell.Buffer, first stepwell.Event, now time.Time) stepwell.RunStart {
	run := buffer.Run
	run.CreatedAt = now
	return stepwell.RunStart{
		Run: run.Skipped(stepwell.SkipFunctionArchived), Refused: Refusal(first, Archived, now),
	}
}
