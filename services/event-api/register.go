package eventapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/stepwell/stepwell/services/internal/cron"
	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// Synced tells what a sync led to.
type Synced struct {
	App stepwell.App
	// FunctionCount is how many functions the app serves.
	FunctionCount int
	// Modified is false if the app said the same before.
	Modified bool
	// OutOfBand means that the app registers itself; the rest is empty then.
	OutOfBand bool
}

// register serves POST and PUT /fn/register.
func (s *Service) register(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	if expected := r.Header.Get(sdk.HeaderExpectedKind); expected != "" && expected != s.deps.ServerKind {
		s.fail(w, r, stepwell.Invalidf("Expected server kind %s, got %s", expected, s.deps.ServerKind))
		return
	}
	body, err := readBody(w, r, sdk.RegistrationBytesMax)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	synced, err := s.syncBody(r.Context(), environment, body)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	respond(w, http.StatusOK, map[string]any{
		"ok": true, "modified": synced.Modified, "app_id": synced.App.ID,
		"sync_id": stepwell.NewSyncID(synced.App.ID, synced.App.Checksum),
	})
}

// addFunctions serves POST /api/v1/functions: a registration, or {"url": …} of an app that is to be asked.
func (s *Service) addFunctions(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	body, err := readBody(w, r, sdk.RegistrationBytesMax)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var asked map[string]json.RawMessage
	if err := json.Unmarshal(body, &asked); err != nil {
		s.fail(w, r, stepwell.Invalidf("the body must be a JSON object: {\"url\": \"http://localhost:3000/api/inngest\"}"))
		return
	}
	var synced Synced
	if _, isRegistration := asked["functions"]; isRegistration {
		synced, err = s.syncBody(r.Context(), environment, body)
	} else {
		var url string
		if json.Unmarshal(asked["url"], &url) != nil || url == "" {
			err = stepwell.Invalidf("the body must have a url, the app's serve endpoint, or functions, its registration")
		} else {
			synced, err = s.SyncURL(r.Context(), environment, url)
		}
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	respond(w, http.StatusOK, map[string]any{
		"app": synced.App.Name, "function_count": synced.FunctionCount, "modified": synced.Modified,
		"out_of_band": synced.OutOfBand,
	})
}

// SyncDefault is SyncURL for the environment that the server's own keys open.
func (s *Service) SyncDefault(ctx context.Context, url string) error {
	_, err := s.SyncURL(ctx, stepwell.DefaultEnvironment(), url)
	return err
}

// SyncURL asks the app at a URL what it serves. Errors: stepwell.ErrUnavailable if nothing answers there,
// stepwell.ErrInvalid if it is no app, refused, or says what is not valid.
func (s *Service) SyncURL(ctx context.Context, environment stepwell.EnvironmentID, url string) (Synced, error) {
	registration, err := s.deps.Executor.RequestSync(ctx, url)
	if err != nil {
		return Synced{}, fmt.Errorf("sync %s: %w", url, err)
	}
	if registration == nil {
		return Synced{OutOfBand: true}, nil
	}
	return s.syncBody(ctx, environment, registration)
}

func (s *Service) syncBody(ctx context.Context, environment stepwell.EnvironmentID, body []byte) (Synced, error) {
	registration, err := sdk.ParseRegistration(body, environment)
	if err != nil {
		return Synced{}, err
	}
	if err := checkExpressions(registration.Functions); err != nil {
		return Synced{}, err
	}
	app := registration.App
	app.SyncedAt = time.Now().UTC()
	modified, err := s.deps.State.SyncApp(ctx, app, registration.Functions)
	if err != nil {
		return Synced{}, fmt.Errorf("sync app %s: %w", app.Name, err)
	}
	if modified {
		s.deps.Log.InfoContext(ctx, "app synced", slog.String("app", app.Name), slog.String("url", app.URL),
			slog.String("sdk", app.SDK), slog.Int("function_count", len(registration.Functions)))
	}
	return Synced{App: app, FunctionCount: len(registration.Functions), Modified: modified}, nil
}

// checkExpressions compiles every expression of the functions. The error names each that is wrong, and where.
func checkExpressions(functions []stepwell.Function) error {
	var problems []error
	for _, function := range functions {
		check := func(what, source string, policy expr.Policy) {
			if source == "" {
				return
			}
			if _, err := expr.Compile(source, policy); err != nil {
				problems = append(problems,
					stepwell.Invalidf("function %q: %s: expression `%s`: %v", function.Slug, what, source, err))
			}
		}
		for i, trigger := range function.Triggers {
			check(fmt.Sprintf("trigger %d", i), trigger.Expression, expr.Full)
			if trigger.Cron != "" {
				if _, err := cron.Parse(trigger.Cron); err != nil {
					problems = append(problems, fmt.Errorf("function %q: trigger %d: schedule_invalid: %w", function.Slug, i, err))
				}
			}
		}
		checkFlowControl(function.FlowControl, check)
	}
	return errors.Join(problems...)
}

func checkFlowControl(flow stepwell.FlowControl, check func(what, source string, policy expr.Policy)) {
	check("priority.run", flow.Priority, expr.Full)
	check("idempotency", flow.Idempotency, expr.Full)
	for i, concurrency := range flow.Concurrency {
		check(fmt.Sprintf("concurrency %d: key", i), concurrency.Key, expr.Full)
	}
	for i, cancel := range flow.CancelOn {
		check(fmt.Sprintf("cancelOn %d: if", i), cancel.Condition, expr.CancelOnly)
	}
	if flow.Throttle != nil {
		check("throttle.key", flow.Throttle.Key, expr.Full)
	}
	if flow.RateLimit != nil {
		check("rateLimit.key", flow.RateLimit.Key, expr.Full)
	}
	if flow.Debounce != nil {
		check("debounce.key", flow.Debounce.Key, expr.Full)
	}
	if flow.Batch != nil {
		check("batch_key_expression_invalid: batchEvents.key", flow.Batch.Key, expr.Full)
		check("batch_if_expression_invalid: batchEvents.if", flow.Batch.Condition, expr.Full)
	}
	if flow.Singleton != nil {
		check("singleton.key", flow.Singleton.Key, expr.Full)
	}
}

// functions returns the environment's apps and functions as of now.
func (s *Service) functions(ctx context.Context, environment stepwell.EnvironmentID) (store.Functions, error) {
	s.mu.Lock()
	known, cached := s.catalogs[environment]
	s.mu.Unlock()
	revision := int64(-1)
	if cached {
		revision = known.Revision
	}
	fresh, err := s.deps.State.Functions(ctx, environment, revision)
	if err != nil {
		return store.Functions{}, fmt.Errorf("load functions: %w", err)
	}
	if cached && fresh.Revision == known.Revision {
		return known, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catalogs[environment] = fresh
	return fresh, nil
}
