package eventapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// The types below are the answers of the API under /api/v1, which the command line uses.

// apiFunction is a function.
type apiFunction struct {
	ID       string       `json:"id"`
	Name     string       `json:"name"`
	App      string       `json:"app"`
	SDK      string       `json:"sdk"`
	URL      string       `json:"url"`
	Version  int          `json:"version"`
	Retries  int          `json:"retries"`
	Triggers []apiTrigger `json:"triggers"`
	// Hold is what an operator has it do: `queue`, `skip` or `drain`; left out if nothing.
	Hold string `json:"hold,omitempty"`
}

func newAPIFunction(function stepwell.Function, app stepwell.App) apiFunction {
	item := apiFunction{
		ID: function.Slug, Name: function.Name, App: app.Name, SDK: app.SDK, URL: function.URL,
		Version: function.Version, Retries: function.Retries, Triggers: []apiTrigger{}, Hold: function.Hold.String(),
	}
	for _, t := range function.Triggers {
		item.Triggers = append(item.Triggers, apiTrigger{
			Event: t.Event, Expression: t.Expression, Cron: t.Cron, Endpoint: t.Endpoint,
		})
	}
	return item
}

// apiTrigger is what starts a function.
type apiTrigger struct {
	Event      string `json:"event,omitempty"`
	Expression string `json:"expression,omitempty"`
	Cron       string `json:"cron,omitempty"`
	Endpoint   bool   `json:"endpoint,omitempty"`
}

// apiRun is a run; Steps and Attempts are there for one run only. Open is what it waits for.
type apiRun struct {
	ID     stepwell.RunID `json:"id"`
	Status string         `json:"status"`
	// SkipReason is why it was skipped, if it was.
	SkipReason string `json:"skip_reason,omitempty"`
	// ExistingRunID is the run because of which it was, if there is one.
	ExistingRunID stepwell.RunID `json:"existing_run_id,omitzero"`
	// Notes tell which expressions could not be evaluated when it was started, and what counts instead.
	Notes     []string           `json:"notes,omitempty"`
	Function  string             `json:"function"`
	EventName string             `json:"event_name"`
	EventIDs  []stepwell.EventID `json:"event_ids"`
	CreatedAt time.Time          `json:"created_at"`
	StartedAt *time.Time         `json:"started_at"`
	EndedAt   *time.Time         `json:"ended_at"`
	Output    json.RawMessage    `json:"output,omitempty"`
	Error     json.RawMessage    `json:"error,omitempty"`
	Open      []apiItem          `json:"open,omitempty"`
	Steps     []apiStep          `json:"steps,omitempty"`
	Attempts  []apiAttempt       `json:"attempts,omitempty"`
}

// apiItem is a unit of work that is under way or due later.
type apiItem struct {
	Kind    string          `json:"kind"`
	Step    stepwell.StepID `json:"step,omitempty"`
	Attempt int             `json:"attempt"`
	DueAt   time.Time       `json:"due_at"`
	// Waiting is why it is not worked on, if it is due and the queue has it.
	Waiting *apiWaiting `json:"waiting,omitempty"`
}

// apiStep is a step.
type apiStep struct {
	ID        stepwell.StepID `json:"id"`
	Name      string          `json:"name"`
	Kind      string          `json:"kind"`
	Status    string          `json:"status"`
	OpenedAt  *time.Time      `json:"opened_at"`
	StartedAt *time.Time      `json:"started_at"`
	EndedAt   *time.Time      `json:"ended_at"`
	DueAt     *time.Time      `json:"due_at"`
	Output    json.RawMessage `json:"output,omitempty"`
	Error     json.RawMessage `json:"error,omitempty"`
}

// apiAttempt is one call to the app.
type apiAttempt struct {
	Step       stepwell.StepID `json:"step,omitempty"`
	Name       string          `json:"name,omitempty"`
	Number     int             `json:"number"`
	Status     string          `json:"status"`
	StartedAt  time.Time       `json:"started_at"`
	EndedAt    time.Time       `json:"ended_at"`
	NextAt     *time.Time      `json:"next_at"`
	HTTPStatus int             `json:"http_status"`
	Error      json.RawMessage `json:"error,omitempty"`
}

// listFunctions serves GET /api/v1/functions: those that are not archived.
func (s *Service) listFunctions(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	catalog, err := s.functions(r.Context(), environment)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	apps := map[stepwell.AppID]stepwell.App{}
	for _, app := range catalog.Apps {
		apps[app.ID] = app
	}
	list := []apiFunction{}
	for _, function := range catalog.Functions {
		if !function.ArchivedAt.IsZero() {
			continue
		}
		list = append(list, newAPIFunction(function, apps[function.App]))
	}
	respondData(w, list)
}

// The page sizes of lists.
const (
	runsDefault = 20
	runsMax     = 100
)

// listRuns serves GET /api/v1/runs?limit=&before=&status=&function=, newest first.
func (s *Service) listRuns(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	catalog, err := s.functions(r.Context(), environment)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	query, err := parseRunQuery(r, catalog)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	query.Environment = environment
	runs, err := s.deps.State.Runs(r.Context(), query)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	slugs := map[stepwell.FunctionID]string{}
	for _, function := range catalog.Functions {
		slugs[function.ID] = function.Slug
	}
	list := make([]apiRun, len(runs))
	for i, run := range runs {
		list[i] = newAPIRun(run, slugs[run.Function])
	}
	respondData(w, list)
}

func parseRunQuery(r *http.Request, catalog store.Functions) (store.RunQuery, error) {
	values := r.URL.Query()
	query := store.RunQuery{Limit: runsDefault}
	if text := values.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 || limit > runsMax {
			return query, stepwell.Invalidf("limit is %q, it must be 1 to %d", text, runsMax)
		}
		query.Limit = limit
	}
	if text := values.Get("before"); text != "" {
		before, err := stepwell.ParseRunID(text)
		if err != nil {
			return query, err
		}
		query.Before = before
	}
	for _, text := range values["status"] {
		status, err := stepwell.ParseRunStatus(text)
		if err != nil {
			return query, err
		}
		query.Statuses = append(query.Statuses, status)
	}
	if slug := values.Get("function"); slug != "" {
		for _, function := range catalog.Functions {
			if function.Slug == slug {
				query.Function = function.ID
			}
		}
		if query.Function == (stepwell.FunctionID{}) {
			return query, stepwell.Invalidf("function %q is unknown", slug)
		}
	}
	return query, nil
}

// runHistory serves GET /api/v1/runs/{run}.
func (s *Service) runHistory(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	id, err := stepwell.ParseRunID(r.PathValue("run"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	history, err := s.deps.State.RunHistory(r.Context(), environment, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	run := newAPIRun(history.Run, history.Function.Slug)
	s.explain(r.Context(), &run, history)
	for _, step := range history.Steps {
		run.Steps = append(run.Steps, newAPIStep(step))
	}
	for _, attempt := range history.Attempts {
		run.Attempts = append(run.Attempts, apiAttempt{
			Step: attempt.Step, Name: attempt.StepName, Number: attempt.Number, Status: attempt.Status.String(), StartedAt: attempt.StartedAt,
			EndedAt: attempt.EndedAt, NextAt: optionalTime(attempt.NextAt), HTTPStatus: attempt.HTTPStatus,
			Error: attempt.Error,
		})
	}
	respondData(w, run)
}

func newAPIRun(run stepwell.Run, slug string) apiRun {
	result := apiRun{
		ID: run.ID, Status: run.Status.String(), SkipReason: run.Skip.String(), ExistingRunID: run.Existing,
		Notes: run.Notes, Function: slug, EventName: run.EventName, EventIDs: run.Events,
		CreatedAt: run.CreatedAt, StartedAt: optionalTime(run.StartedAt), EndedAt: optionalTime(run.EndedAt),
	}
	for _, item := range run.Progress.Open {
		result.Open = append(result.Open, apiItem{
			Kind: item.Kind.String(), Step: item.Step, Attempt: item.CountedAttempt(), DueAt: item.DueAt,
		})
	}
	if run.Status == stepwell.RunFailed {
		result.Error = run.Output
	} else {
		result.Output = run.Output
	}
	return result
}

func newAPIStep(step stepwell.Step) apiStep {
	result := apiStep{
		ID: step.ID, Name: step.Name, Kind: step.Kind.String(), Status: step.Status.String(),
		OpenedAt: optionalTime(step.OpenedAt), StartedAt: optionalTime(step.StartedAt),
		EndedAt: optionalTime(step.EndedAt), DueAt: optionalTime(step.DueAt),
	}
	switch step.Status {
	case stepwell.StepOpen:
	case stepwell.StepCompleted:
		result.Output = step.Result.JSON
	case stepwell.StepFailed:
		result.Error = step.Result.JSON
	}
	return result
}
