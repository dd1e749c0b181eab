package eventapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/executor/executorclient"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/runner/runnerclient"
)

// errRunExists is why a run is not started: another request has its id.
var errRunExists = fmt.Errorf("Run already exists: %w", stepwell.ErrConflict) //nolint:staticcheck // SDKs know the text

// startedEndpoint is the answer to an app that tells of a request to one of its endpoints.
type startedEndpoint struct {
	FunctionID stepwell.FunctionID `json:"fn_id"`
	AppID      stepwell.AppID      `json:"app_id"`
	RunID      stepwell.RunID      `json:"run_id"`
	// Token opens the run's output, once the app no longer answers by itself.
	Token string `json:"token"`
	// RealtimeToken is there because SDKs do not go on without one. Nothing takes it yet.
	RealtimeToken string `json:"realtime_token"`
}

// startEndpoint serves POST /v1/checkpoint: an app tells of a request to one of its endpoints, which it works on already,
// and of what came of it so far. The app made the run's id; telling the same again is harmless.
func (s *Service) startEndpoint(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	body, err := readBody(w, r, checkpointBytesMax)
	var report endpointReport
	if err == nil {
		report, err = parseEndpointReport(body, environment, r.Header.Get(sdk.HeaderSDK))
	}
	if err == nil {
		err = s.startReported(r.Context(), &report)
	}
	var answer startedEndpoint
	if err == nil {
		answer = startedEndpoint{FunctionID: report.function.ID, AppID: report.app.ID, RunID: report.run}
		answer.Token, answer.RealtimeToken, err = s.tokens.issue(environment, report.run, time.Now())
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	respondData(w, answer)
}

// reportSteps serves POST /v1/checkpoint/{run}/steps: what came of the request since.
func (s *Service) reportSteps(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	var wire struct {
		Steps json.RawMessage `json:"steps"`
	}
	body, err := readBody(w, r, checkpointBytesMax)
	if err == nil {
		if unreadable := json.Unmarshal(body, &wire); unreadable != nil {
			err = stepwell.Invalidf("the checkpoint cannot be read: %v", unreadable)
		}
	}
	var run stepwell.RunID
	if err == nil {
		run, err = stepwell.ParseRunID(r.PathValue("run"))
	}
	if err == nil && hasSteps(wire.Steps) {
		err = s.deps.Executor.Report(r.Context(), executorclient.Report{Environment: environment, Run: run, Ops: wire.Steps})
	}
	if err != nil {
		s.failWith(w, r, map[string]string{"run_id": r.PathValue("run")}, err)
		return
	}
	respond(w, http.StatusOK, struct{}{})
}

// hasSteps tells whether there is anything in a list of operations.
func hasSteps(steps json.RawMessage) bool {
	var list []json.RawMessage
	return json.Unmarshal(steps, &list) != nil && len(steps) > 0 || len(list) > 0
}

// endpointReport is what an app tells of a request to one of its endpoints.
type endpointReport struct {
	run            stepwell.RunID
	app            stepwell.App
	function       stepwell.Function
	event          stepwell.Event
	requestVersion int
	steps          json.RawMessage
}

func parseEndpointReport(body []byte, environment stepwell.EnvironmentID, sdkName string) (endpointReport, error) {
	var wire struct {
		RunID          string `json:"run_id"`
		RequestVersion int    `json:"request_version"`
		Retries        int    `json:"retries"`
		Event          struct {
			Name string          `json:"name"`
			Data json.RawMessage `json:"data"`
		} `json:"event"`
		Steps json.RawMessage `json:"steps"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		return endpointReport{}, stepwell.Invalidf("the checkpoint cannot be read: %v", err)
	}
	now := time.Now().Truncate(time.Millisecond).UTC()
	run, err := stepwell.ParseRunID(wire.RunID)
	if err == nil && run.Timestamp().Sub(now).Abs() > seedAgeMax {
		err = stepwell.Invalidf("the time in run id %s is more than %s from the server's: ids sort by it", run, seedAgeMax)
	}
	if err != nil {
		return endpointReport{}, err
	}
	event := stepwell.Event{
		ID: stepwell.EndpointEventID(run), Environment: environment, Name: wire.Event.Name, User: json.RawMessage(`{}`),
		Time: now, ReceivedAt: now,
	}
	if event.Data, err = object("data", wire.Event.Data); err != nil {
		return endpointReport{}, err
	}
	if n := len(event.Data); n > stepwell.EventBytesMax {
		return endpointReport{}, stepwell.TooLargef("the request's event has %d bytes, at most %d are allowed", n, stepwell.EventBytesMax)
	}
	request, err := sdk.ParseEndpointRequest(event)
	if err != nil {
		return endpointReport{}, err
	}
	report := endpointReport{run: run, event: event, requestVersion: wire.RequestVersion, steps: wire.Steps}
	report.app, report.function, err = sdk.EndpointApp(environment, request, endpointSDK(event, sdkName), endpointRetries(wire.Retries))
	return report, err
}

// endpointSDK is the SDK as registrations name it. Go says nothing about itself here.
func endpointSDK(event stepwell.Event, header string) string {
	if event.Name == sdk.EndpointEventGo && header == "" {
		return "go"
	}
	return strings.TrimPrefix(header, "inngest-")
}

func endpointRetries(said int) int {
	if said < 0 {
		return stepwell.RetriesDefault
	}
	return min(said, stepwell.RetriesMax)
}

// startReported starts the run, if it is not the one that was started before, and records what came of it so far.
func (s *Service) startReported(ctx context.Context, report *endpointReport) error {
	function, err := s.ensureEndpoint(ctx, report.app, report.function)
	if err != nil {
		return err
	}
	report.function = function
	existed, err := s.deps.Runner.StartEndpointRun(ctx, runnerclient.EndpointRun{
		ID: report.run, Event: report.event, Function: function, RequestVersion: report.requestVersion,
	})
	if err != nil {
		return fmt.Errorf("start run: %w", err)
	}
	if existed {
		if err := s.requireSame(ctx, report); err != nil {
			return err
		}
	}
	if !hasSteps(report.steps) {
		return nil
	}
	return s.deps.Executor.Report(ctx, executorclient.Report{
		Environment: report.event.Environment, Run: report.run, Ops: report.steps,
	})
}

// requireSame makes sure that a run that exists is the one of this request: the app lost the answer and tells it again.
func (s *Service) requireSame(ctx context.Context, report *endpointReport) error {
	run, err := s.deps.State.Run(ctx, report.event.Environment, report.run)
	if err == nil && run.Function != report.function.ID {
		return errRunExists
	}
	var event stepwell.Event
	if err == nil {
		event, err = s.deps.State.Event(ctx, report.event.Environment, report.event.ID)
	}
	switch {
	case errors.Is(err, stepwell.ErrNotFound): // of another environment (I24)
		return errRunExists
	case err != nil:
		return fmt.Errorf("find out whether run %s is the same: %w", report.run, err)
	case !bytes.Equal(event.Data, report.event.Data):
		return errRunExists
	}
	return nil
}

// ensureTries bounds how often an endpoint is put into the catalog: another replica may put there what it knew of the app
// before.
const ensureTries = 3

// ensureEndpoint returns the endpoint's function as the catalog has it, where it is put if it is not there, is archived, or
// has changed. The app's other endpoints stay. One that another replica archives meanwhile can be used all the same: only
// its triggers are gone, of which it has none.
func (s *Service) ensureEndpoint(
	ctx context.Context, app stepwell.App, function stepwell.Function,
) (stepwell.Function, error) {
	known, _, err := s.knownEndpoint(ctx, app, function)
	if err != nil || known.Version > 0 && known.ArchivedAt.IsZero() {
		return known, err
	}
	select {
	case s.syncing <- struct{}{}: // one at a time: each writes down all of the app's endpoints
		defer func() { <-s.syncing }()
	case <-ctx.Done():
		return stepwell.Function{}, ctx.Err()
	}
	for range ensureTries {
		var others []stepwell.Function
		known, others, err = s.knownEndpoint(ctx, app, function)
		if err != nil || known.Version > 0 && known.ArchivedAt.IsZero() {
			return known, err
		}
		if err := s.syncEndpoints(ctx, app, append(others, function)); err != nil {
			return stepwell.Function{}, err
		}
	}
	known, _, err = s.knownEndpoint(ctx, app, function)
	if err == nil && known.Version == 0 {
		err = fmt.Errorf("endpoints of %s changed %d times meanwhile: %w", app.Name, ensureTries, stepwell.ErrUnavailable)
	}
	return known, err
}

// knownEndpoint is the endpoint's function as the catalog has it, with version 0 if it has none like it, and the app's other
// functions.
func (s *Service) knownEndpoint(
	ctx context.Context, app stepwell.App, function stepwell.Function,
) (known stepwell.Function, others []stepwell.Function, err error) {
	catalog, err := s.functions(ctx, app.Environment)
	for _, f := range catalog.Functions {
		switch {
		case f.App != app.ID:
		case f.ID != function.ID:
			others = append(others, f)
		case f.Retries == function.Retries:
			known = f
		}
	}
	return known, others, err
}

func (s *Service) syncEndpoints(ctx context.Context, app stepwell.App, functions []stepwell.Function) error {
	if len(functions) > sdk.FunctionsMax {
		return stepwell.TooLargef("app %q has more than %d endpoints, the most that are allowed: give endpoints whose path "+
			"varies an id of their own", app.Name, sdk.FunctionsMax)
	}
	app.Checksum, app.SyncedAt = endpointChecksum(functions), time.Now().UTC()
	modified, err := s.deps.State.SyncApp(ctx, app, functions)
	if err != nil {
		return fmt.Errorf("sync endpoints of %s: %w", app.Name, err)
	}
	if modified {
		s.deps.Log.InfoContext(ctx, "endpoint synced", slog.String("app", app.Name), slog.String("sdk", app.SDK),
			slog.String("function_id", functions[len(functions)-1].Slug), slog.Int("function_count", len(functions)))
	}
	return nil
}

// endpointChecksum is over all that is known of an app's endpoints.
func endpointChecksum(functions []stepwell.Function) string {
	lines := make([]string, len(functions))
	for i, function := range functions {
		lines[i] = fmt.Sprintf("%s %d", function.Slug, function.Retries)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}
