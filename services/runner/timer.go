package runner

import (
	"github.com/stepwell/stepwell/services/internal/cron"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// timer is a cron trigger of a function, parsed.
type timer struct {
	function stepwell.Function
	trigger  stepwell.Trigger
	schedule cron.Schedule
}

// timers are those of an environment.
type timers map[stepwell.TimerKey]timer

func (x *index) addTimer(function stepwell.Function, trigger stepwell.Trigger) error {
	schedule, err := cron.Parse(trigger.Cron)
	if err != nil {
		return err
	}
	x.timers[stepwell.NewTimerKey(function.ID, trigger.Cron)] = timer{function, trigger, schedule}
	return nil
}

// timerOf is the timer that fires by the event. The event alone tells, so that it may be routed by anyone, and again.
func (x *index) timerOf(event stepwell.Event) (timer, bool) {
	key, fired := event.TimerKey()
	if !fired {
		return timer{}, false
	}
	t, known := x.timers[key]
	return t, known
}
