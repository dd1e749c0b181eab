package stepwell

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"time"
)

// JitterMin and JitterMax bound Trigger.Jitter, unless it is zero.
const (
	JitterMin = time.Second
	JitterMax = 5 * time.Minute
)

// TimerEventName is the name of the event by which a cron trigger fires.
const TimerEventName = InternalEventPrefix + "scheduled.timer"

// Schedule is a cron trigger and the instant at which it fires next. There is one for each expression of a function.
type Schedule struct {
	Environment EnvironmentID
	Function    FunctionID
	// Cron is the expression, as the function's author wrote it.
	Cron string
	// NextAt is a whole minute. Everything before it is done.
	NextAt time.Time
}

// NewTimerEventID derives the id of the event by which a cron expression of a function fires at an instant, its slot. The
// time part is the slot, its other bits are a hash of function and expression: whoever fires makes the same event (I18).
func NewTimerEventID(function FunctionID, cron string, slot time.Time) EventID {
	hash := sha256.New()
	hash.Write(function.UUID[:])
	io.WriteString(hash, cron)
	return deriveEventID(slot, hash.Sum(nil))
}

// TimerKey is the same for all events by which a cron expression of a function fires: what NewTimerEventID makes of them,
// without the slot.
type TimerKey [10]byte

// NewTimerKey is the key of a cron expression of a function.
func NewTimerKey(function FunctionID, cron string) TimerKey {
	return NewTimerEventID(function, cron, time.UnixMilli(0)).timerKey()
}

// TimerKey is the key of the cron expression that the event was made for; false if it is another event.
func (e Event) TimerKey() (TimerKey, bool) {
	return e.ID.timerKey(), e.Name == TimerEventName
}

// Cron is the expression by which the event was fired; empty for other events.
func (e Event) Cron() string {
	if e.Name != TimerEventName {
		return ""
	}
	var data struct {
		Cron string `json:"cron"`
	}
	if json.Unmarshal(e.Data, &data) != nil {
		return ""
	}
	return data.Cron
}

func (id EventID) timerKey() TimerKey {
	var key TimerKey
	copy(key[:], id.ULID[6:])
	return key
}
