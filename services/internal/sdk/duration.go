package sdk

import (
	"strconv"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// durationUnits are the units of the SDKs' duration text, such as `1w2d3h4m5s`.
func durationUnits() map[string]time.Duration {
	return map[string]time.Duration{
		"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "ms": time.Millisecond,
		"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
	}
}

// ParseDuration reads a sequence of numbers with units: ns us ms s m h d w.
func ParseDuration(text string) (time.Duration, error) {
	invalid := stepwell.Invalidf("duration %q: write numbers with units, such as 30s, 1h30m or 7d", text)
	units, rest := durationUnits(), text
	var total time.Duration
	if rest == "" {
		return 0, invalid
	}
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		letters := len(rest[digits:]) - len(strings.TrimLeft(rest[digits:], "abcdefghijklmnopqrstuvwxyzµ"))
		unit, known := units[rest[digits:digits+letters]]
		number, err := strconv.ParseFloat(rest[:digits], 64)
		if err != nil || !known {
			return 0, invalid
		}
		part := number * float64(unit)
		if part+float64(total) > float64(1<<62) {
			return 0, stepwell.Invalidf("duration %q is longer than 146 years", text)
		}
		total += time.Duration(part)
		rest = rest[digits+letters:]
	}
	return total, nil
}

// dateLayouts are the forms in which SDKs and apps write instants.
func dateLayouts() []string {
	return []string{
		time.RFC3339Nano, "2006-01-02T15:04:05", time.RFC1123, time.RFC1123Z, time.RFC822, time.RFC822Z, time.RFC850,
		time.ANSIC, time.UnixDate, time.RubyDate, time.Stamp, time.DateOnly,
	}
}

// ParseDate reads an instant in any of the forms of the protocol; without a zone it is UTC.
func ParseDate(text string) (time.Time, error) {
	for _, layout := range dateLayouts() {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, stepwell.Invalidf("date %q: write it as 2026-01-02T15:04:05Z", text)
}

// parseDue reads a duration from now or an instant.
func parseDue(text string, now time.Time) (time.Time, error) {
	if duration, err := ParseDuration(text); err == nil {
		return now.Add(duration), nil
	}
	at, err := ParseDate(text)
	if err != nil {
		return time.Time{}, stepwell.Invalidf("%q is neither a duration such as 1h30m nor a date such as 2026-01-02T15:04:05Z",
			text)
	}
	return at, nil
}

// parseRetryAfter reads the Retry-After header: seconds or a date, clamped to its bounds; zero if it is none of them.
func parseRetryAfter(text string, now time.Time) time.Time {
	const secondsDigitsMax = 7
	var at time.Time
	if len(text) <= secondsDigitsMax {
		seconds, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return time.Time{}
		}
		at = now.Add(time.Duration(seconds) * time.Second)
	} else {
		date, err := ParseDate(strings.TrimSpace(text))
		if err != nil {
			return time.Time{}
		}
		at = date
	}
	if earliest := now.Add(RetryAfterMin); at.Before(earliest) {
		return earliest
	}
	if latest := now.Add(RetryAfterMax); at.After(latest) {
		return latest
	}
	return at
}
