// Package daemon makes a program of services: its command line, its settings, its log, its probes, what it tells of
// itself to operators, and how it starts and ends.
//
// It must not know any service. What a program consists of is said by its Compose.
package daemon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// Settings are those that every program has. A program embeds them in its own.
type Settings struct {
	LogLevel  slog.Level `koanf:"log_level" doc:"debug, info, warn or error"`
	LogFormat string     `koanf:"log_format" doc:"json or text"`
	// ProbeAddress is for programs whose public door is not HTTP.
	ProbeAddress string `koanf:"probe_address" doc:"where /livez, /readyz, /startupz and /health are served, such as :8090; empty for nowhere of its own"`
	// DrainDelay gives load balancers time to notice.
	DrainDelay time.Duration `koanf:"drain_delay" doc:"how long work goes on after SIGTERM with readiness off, so that nobody new is sent here"`
	// Admin is for operators and their tools.
	Admin     Admin            `koanf:"admin"`
	Telemetry telemetry.Config `koanf:"telemetry"`
}

// DefaultSettings returns the defaults.
func DefaultSettings() Settings {
	return Settings{LogFormat: formatJSON, Telemetry: telemetry.DefaultConfig()}
}

// The formats of the log.
const (
	formatJSON = "json"
	formatText = "text"
)

// drainDelayMax bounds how long a program goes on that was told to stop.
const drainDelayMax = 10 * time.Minute

// Validate returns every problem at once.
func (s Settings) Validate() error {
	var problems []error
	if s.LogFormat != formatJSON && s.LogFormat != formatText {
		problems = append(problems, fmt.Errorf("log_format is %q, it must be %s or %s", s.LogFormat, formatJSON, formatText))
	}
	if s.DrainDelay < 0 || s.DrainDelay > drainDelayMax {
		problems = append(problems,
			fmt.Errorf("drain_delay is %s, it must be between 0s and %s", s.DrainDelay, drainDelayMax))
	}
	return errors.Join(problems...)
}

// logger writes the log, with the ids of traces in it. Its level may change while it is used.
func (s Settings) logger(out io.Writer, level *slog.LevelVar) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewJSONHandler(out, options)
	if s.LogFormat == formatText {
		handler = slog.NewTextHandler(out, options)
	}
	return slog.New(telemetry.LogHandler{Handler: handler})
}
