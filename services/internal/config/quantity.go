package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size: 512KiB, 3MB, 1024.
type Bytes int64

// byteUnits are the units of sizes, the greatest first of each kind.
func byteUnits() []struct {
	name string
	size Bytes
} {
	return []struct {
		name string
		size Bytes
	}{
		{"TiB", 1 << 40},
		{"GiB", 1 << 30},
		{"MiB", 1 << 20},
		{"KiB", 1 << 10},
		{"TB", 1e12},
		{"GB", 1e9},
		{"MB", 1e6},
		{"kB", 1e3},
		{"B", 1},
	}
}

// UnmarshalText reads a whole number and a unit; without one it counts bytes.
func (b *Bytes) UnmarshalText(text []byte) error {
	number := strings.TrimRight(string(text), "TGMKkiB ")
	unit := strings.TrimSpace(string(text)[len(number):])
	n, err := strconv.ParseInt(number, 10, 64)
	if err == nil && n >= 0 {
		for _, known := range byteUnits() {
			if (unit == known.name || (unit == "" && known.size == 1)) && n <= math.MaxInt64/int64(known.size) {
				*b = Bytes(n) * known.size
				return nil
			}
		}
	}
	return fmt.Errorf("%q is not a size such as 512KiB, 64MiB, 1GB or 1024", text)
}

// MarshalText writes the size in the greatest unit that it is a multiple of.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

func (b Bytes) String() string {
	for _, unit := range byteUnits() {
		if unit.size > 1 && b != 0 && b%unit.size == 0 {
			return strconv.FormatInt(int64(b/unit.size), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

const day = 24 * time.Hour

// parseDuration reads a duration of Go that may begin with days: 90s, 1h30m, 7d, 1d12h.
func parseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a duration such as 500ms, 30s, 1h30m or 7d", text)
	rest := text
	var days int64
	if match := regexp.MustCompile(`^(\d+)d`).FindStringSubmatch(text); match != nil {
		n, err := strconv.ParseInt(match[1], 10, 64)
		if err != nil || n > int64(math.MaxInt64/day) {
			return 0, wrong
		}
		if days, rest = n, text[len(match[0]):]; rest == "" {
			rest = "0"
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d > math.MaxInt64-time.Duration(days)*day {
		return 0, wrong
	}
	return time.Duration(days)*day + d, nil
}

// formatDuration writes a duration as people do: 2h, not 2h0m0s; whole days as such.
func formatDuration(d time.Duration) string {
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
