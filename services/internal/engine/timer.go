package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// timerData is the data of an event by which a cron trigger fires.
type timerData struct {
	Cron        string    `json:"cron"`
	ScheduledAt time.Time `json:"scheduledAt"`
	FireAt      time.Time `json:"fireAt"`
}

// Timer is the event by which a cron trigger of the function fires at an instant, its slot: whoever fires makes the same
// (I18). Jitter makes its time later than the slot, which delays the run.
func Timer(function stepwell.Function, trigger stepwell.Trigger, slot, now time.Time) stepwell.Event {
	slot = slot.UTC()
	id := stepwell.NewTimerEventID(function.ID, trigger.Cron, slot)
	fireAt := slot.Add(jitter(id, trigger.Jitter))
	data, err := json.Marshal(timerData{Cron: trigger.Cron, ScheduledAt: slot, FireAt: fireAt})
	if err != nil {
		panic(fmt.Sprintf("timer at %s: %v", slot, err)) // only years beyond 9999 have no text
	}
	return stepwell.Event{
		ID: id, Environment: function.Environment, Key: slot.Format(time.RFC3339), Name: stepwell.TimerEventName,
		Data: data, User: json.RawMessage(`{}`), Time: fireAt, ReceivedAt: now.Truncate(time.Millisecond).UTC(),
	}
}

// jitter is between a second and the most, in milliseconds, the same for the same event; 0 if none is wanted.
func jitter(id stepwell.EventID, most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	sum := sha256.Sum256(id.ULID[:])
	spread := uint64(max(1, (most-stepwell.JitterMin)/time.Millisecond))
	return stepwell.JitterMin + time.Duration(binary.BigEndian.Uint64(sum[:])%spread)*time.Millisecond
}

// startKey identifies what an event starts. Two cron expressions of a function may fire at the same instant, and then
// their events have the same public id; each starts a run.
func startKey(event stepwell.Event) string {
	if event.Name == stepwell.TimerEventName {
		return event.ID.String()
	}
	return event.PublicID()
}
