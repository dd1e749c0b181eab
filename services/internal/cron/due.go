package cron

import "time"

// skippedMax bounds the instants that are counted one by one when they are skipped.
const skippedMax = 10_000

// Due is what there is to do about a schedule.
type Due struct {
	// Fire are the instants to fire at now, in order.
	Fire []time.Time
	// Skipped is how many instants were missed for too long: 10,000 if there were as many or more.
	Skipped int
	// Next is the instant that comes then, which may be due too; zero if there is none.
	Next time.Time
}

// Due says what to do at now, if all instants before next are done: to fire at those that are due, at most as many, but to
// skip those that were missed for longer than catchUp. No instant after now is fired.
func (s Schedule) Due(next, now time.Time, catchUp time.Duration, most int) Due {
	due := Due{Next: next}
	oldest := now.Add(-catchUp)
	for due.Next.Before(oldest) && !due.Next.IsZero() {
		due.Skipped++
		if due.Skipped == skippedMax {
			due.Next = s.Next(oldest.Add(-time.Minute))
			break
		}
		due.Next = s.Next(due.Next)
	}
	for !due.Next.IsZero() && !due.Next.After(now) && len(due.Fire) < most {
		due.Fire = append(due.Fire, due.Next)
		due.Next = s.Next(due.Next)
	}
	return due
}
