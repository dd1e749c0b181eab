package sdk

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// The bounds of a registration.
const (
	// RegistrationBytesMax bounds its body.
	RegistrationBytesMax = 4 << 20
	// FunctionsMax bounds the functions of an app.
	FunctionsMax = 1000
	// nameBytesMax bounds names and slugs.
	nameBytesMax = 255
)

// Registration is what an app says it serves.
type Registration struct {
	App       stepwell.App
	Functions []stepwell.Function
}

// wireRegistration is the body of a register request, and of the answer to an in-band sync. Go's decoder matches
// members whatever their case, which Python needs (`appname`).
type wireRegistration struct {
	URL        string            `json:"url"`
	Framework  string            `json:"framework"`
	AppName    string            `json:"appName"`
	AppVersion string            `json:"appVersion"`
	Functions  []json.RawMessage `json:"functions"`
	SDK        string            `json:"sdk"`
	// An in-band answer says these instead.
	AppID       string `json:"app_id"`
	SDKLanguage string `json:"sdk_language"`
	SDKVersion  string `json:"sdk_version"`
}

// ParseRegistration reads and checks all of it but expressions. The error names every problem, one a line, each with
// its function.
func ParseRegistration(body []byte, environment stepwell.EnvironmentID) (Registration, error) {
	var wire wireRegistration
	if err := json.Unmarshal(body, &wire); err != nil {
		return Registration{}, stepwell.Invalidf("the registration is not valid JSON: %v", err)
	}
	name, sdk := wire.AppName, wire.SDK
	if name == "" {
		name = wire.AppID
	}
	if sdk == "" && wire.SDKLanguage != "" {
		sdk = wire.SDKLanguage + ":" + wire.SDKVersion
	}
	if name == "" {
		return Registration{}, stepwell.Invalidf("App ID required: the registration has no appName")
	}
	if len(name) > nameBytesMax {
		return Registration{}, stepwell.Invalidf("the app's id is longer than %d bytes", nameBytesMax)
	}
	if err := checkURL(wire.URL); err != nil {
		return Registration{}, fmt.Errorf("app %q: url: %w", name, err)
	}
	if len(wire.Functions) > FunctionsMax {
		return Registration{}, stepwell.TooLargef("app %q has %d functions, at most %d are allowed",
			name, len(wire.Functions), FunctionsMax)
	}
	registration := Registration{App: stepwell.App{
		ID: stepwell.NewAppID(environment, name), Environment: environment, Name: name, URL: wire.URL,
		SDK: sdk, Framework: wire.Framework, Version: wire.AppVersion,
	}}
	if err := registration.parseFunctions(wire.Functions); err != nil {
		return Registration{}, err
	}
	checksum, err := registration.checksum()
	registration.App.Checksum = checksum
	return registration, err
}

func (r *Registration) parseFunctions(raw []json.RawMessage) error {
	var problems []error
	seen := map[string]bool{}
	for i, body := range raw {
		function, err := parseFunction(body, r.App)
		if function.Slug == "" {
			problems = append(problems, fmt.Errorf("function %d: %w", i, err))
			continue
		}
		if seen[function.Slug] {
			err = errors.Join(err, stepwell.Invalidf("another function has the same id"))
		}
		seen[function.Slug] = true
		if err != nil {
			problems = append(problems, fmt.Errorf("function %q: %w", function.Slug, err))
		}
		r.Functions = append(r.Functions, function)
	}
	return errors.Join(problems...)
}

// checksum is over all that the registration says, so that the same one again is recognised.
func (r *Registration) checksum() (string, error) {
	encoded, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encode registration: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:]), nil
}

func checkURL(text string) error {
	target, err := url.Parse(text)
	if err != nil {
		return stepwell.Invalidf("%q is not a URL: %v", text, err)
	}
	if (target.Scheme != "http" && target.Scheme != "https") || target.Host == "" {
		return stepwell.Invalidf("%q is not an http or https URL", text)
	}
	return nil
}

// stripURL drops what a sync put into the query, which is not part of where a function is.
func stripURL(text string) string {
	target, err := url.Parse(text)
	if err != nil {
		return text
	}
	query := target.Query()
	query.Del("deployId")
	query.Del("probe")
	target.RawQuery = query.Encode()
	return target.String()
}

// wireFunction is a function's configuration. Members with several forms are decoded later.
type wireFunction struct {
	ID          string              `json:"id"`
	Name        string              `json:"name"`
	Triggers    []wireTrigger       `json:"triggers"`
	Steps       map[string]wireStep `json:"steps"`
	Retries     json.RawMessage     `json:"retries"`
	Concurrency json.RawMessage     `json:"concurrency"`
	Throttle    *wireThrottle       `json:"throttle"`
	RateLimit   *wireRateLimit      `json:"rateLimit"`
	Debounce    *wireDebounce       `json:"debounce"`
	Batch       *wireBatch          `json:"batchEvents"`
	Priority    *wirePriority       `json:"priority"`
	Idempotency string              `json:"idempotency"`
	Cancel      []wireCancel        `json:"cancel"`
	Timeouts    *wireTimeouts       `json:"timeouts"`
	Singleton   *wireSingleton      `json:"singleton"`
}

type wireStep struct {
	Runtime struct {
		URL string `json:"url"`
	} `json:"runtime"`
	Retries json.RawMessage `json:"retries"`
}

type wireTrigger struct {
	Event      string `json:"event"`
	Expression string `json:"expression"`
	Cron       string `json:"cron"`
	Jitter     string `json:"jitter"`
}

func parseFunction(body []byte, app stepwell.App) (stepwell.Function, error) {
	var wire wireFunction
	if err := json.Unmarshal(body, &wire); err != nil {
		return stepwell.Function{Slug: wire.ID}, stepwell.Invalidf("its configuration cannot be read: %v", err)
	}
	if wire.ID == "" {
		return stepwell.Function{}, stepwell.Invalidf("it has no id")
	}
	function := stepwell.Function{
		ID: stepwell.NewFunctionID(app.ID, wire.ID), Environment: app.Environment, App: app.ID,
		Slug: wire.ID, Name: wire.Name, Retries: stepwell.RetriesDefault,
	}
	if function.Name == "" {
		function.Name = wire.ID
	}
	var c checker
	c.that(len(wire.ID) <= nameBytesMax && len(wire.Name) <= nameBytesMax,
		"its id and name may be at most %d bytes long", nameBytesMax)
	c.that(printable(wire.ID+wire.Name) == wire.ID+wire.Name, "its id and name must not hold control characters")
	c.step(&function, wire.Steps)
	c.retries(&function, wire.Retries)
	c.triggers(&function, wire.Triggers)
	c.flowControl(&function.FlowControl, wire)
	return function, errors.Join(c.problems...)
}

// checker collects what is wrong with a function.
type checker struct{ problems []error }

func (c *checker) that(ok bool, format string, args ...any) {
	if !ok {
		c.problems = append(c.problems, stepwell.Invalidf(format, args...))
	}
}

func (c *checker) failed(what string, err error) bool {
	if err != nil {
		c.problems = append(c.problems, fmt.Errorf("%s: %w", what, err))
	}
	return err != nil
}

func (c *checker) step(function *stepwell.Function, steps map[string]wireStep) {
	c.that(len(steps) == 1, "it must have exactly one entry in steps, it has %d", len(steps))
	for _, step := range steps {
		function.URL = stripURL(step.Runtime.URL)
		c.failed("steps.step.runtime.url", checkURL(step.Runtime.URL))
		c.retries(function, step.Retries)
	}
}

// retries reads a number or {"attempts": number}; null and absent leave the default.
func (c *checker) retries(function *stepwell.Function, raw json.RawMessage) {
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	var number *int
	if json.Unmarshal(raw, &number) != nil {
		var object struct {
			Attempts *int `json:"attempts"`
		}
		if c.failed("retries", json.Unmarshal(raw, &object)) {
			return
		}
		number = object.Attempts
	}
	if number == nil {
		return
	}
	c.that(*number >= 0 && *number <= stepwell.RetriesMax, "retries is %d, it must be 0 to %d", *number, stepwell.RetriesMax)
	function.Retries = *number
}

func (c *checker) triggers(function *stepwell.Function, triggers []wireTrigger) {
	c.that(len(triggers) <= stepwell.TriggersMax, "it has %d triggers, at most %d are allowed",
		len(triggers), stepwell.TriggersMax)
	seen := map[wireTrigger]bool{}
	for i, wire := range triggers {
		what := fmt.Sprintf("trigger %d", i)
		trigger := stepwell.Trigger{Event: wire.Event, Expression: wire.Expression, Cron: wire.Cron}
		c.that((wire.Event == "") != (wire.Cron == ""), "%s must have either an event or a cron", what)
		c.that(len(wire.Event) <= stepwell.TriggerBytesMax && len(wire.Cron) <= stepwell.TriggerBytesMax,
			"%s is longer than %d bytes", what, stepwell.TriggerBytesMax)
		c.that(validWildcard(wire.Event), "%s: %q: a wildcard must be the end and follow a / or .", what, wire.Event)
		if wire.Jitter != "" {
			jitter, err := ParseDuration(wire.Jitter)
			c.failed(what+": jitter", err)
			c.that(err != nil || jitter == 0 || jitter >= stepwell.JitterMin && jitter <= stepwell.JitterMax,
				"%s: jitter is %s, it must be %s to %s", what, jitter, stepwell.JitterMin, stepwell.JitterMax)
			trigger.Jitter = jitter
		}
		identity := wire
		identity.Jitter = ""
		c.that(!seen[identity], "%s is there twice", what)
		seen[identity] = true
		function.Triggers = append(function.Triggers, trigger)
	}
}

// validWildcard tells whether an event name has no wildcard, or one where prefixes are cut: `a/*`, `a/b.*`.
func validWildcard(event string) bool {
	star := strings.IndexByte(event, '*')
	return star < 0 || (star > 0 && star == len(event)-1 && (event[star-1] == '/' || event[star-1] == '.'))
}
