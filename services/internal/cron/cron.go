// Package cron reads the cron expressions of triggers.
//
// It must not read a clock: whoever asks for the next instant says from when.
package cron

import (
	"time"
	_ "time/tzdata" // zones must be there on machines that have no database of them

	"github.com/robfig/cron/v3"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Schedule is a parsed expression.
type Schedule struct{ schedule cron.Schedule }

// Parse reads five fields (minute, hour, day of month, month, day of week) with an optional prefix `TZ=<zone> `; without
// it the zone is UTC. Descriptors such as @daily are refused. Errors: stepwell.ErrInvalid.
func Parse(expression string) (Schedule, error) {
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	schedule, err := parser.Parse(expression)
	if err != nil {
		return Schedule{}, stepwell.Invalidf("cron %q: %v; write minute, hour, day, month and weekday, as in `0 9 * * 1-5`",
			expression, err)
	}
	if spec, ok := schedule.(*cron.SpecSchedule); ok && spec.Location == time.Local {
		spec.Location = time.UTC
	}
	return Schedule{schedule}, nil
}

// Next is the first instant after a given one; the zero time if there is none within five years.
func (s Schedule) Next(after time.Time) time.Time { return s.schedule.Next(after) }
