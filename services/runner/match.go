package runner

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// index finds the functions that an event may start. It never changes.
type index struct {
	revision int64
	// byName are the triggers of each event name, and of each prefix with its wildcard.
	byName map[string][]trigger
	timers timers
	// bySlug are the functions that may be invoked.
	bySlug map[string]stepwell.Function
	// flows are the expressions of functions' flow control.
	flows map[stepwell.FunctionID]flow
}

// trigger is one trigger of a function, compiled.
type trigger struct {
	function stepwell.Function
	// condition is nil if every event of the name matches.
	condition *expr.Program
}

// index returns the triggers of an environment, of any revision if there is one.
func (s *Service) index(ctx context.Context, environment stepwell.EnvironmentID) (*index, error) {
	s.mu.Lock()
	known := s.indexes[environment]
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	return s.refresh(ctx, environment, nil)
}

// refresh returns the triggers of an environment as of now, given those that turned out to be stale.
func (s *Service) refresh(ctx context.Context, environment stepwell.EnvironmentID, stale *index) (*index, error) {
	revision := int64(-1)
	if stale != nil {
		revision = stale.revision
	}
	catalog, err := s.deps.State.Functions(ctx, environment, revision)
	if err != nil {
		return nil, fmt.Errorf("load functions: %w", err)
	}
	if stale != nil && catalog.Revision == stale.revision {
		return stale, nil
	}
	fresh := &index{
		revision: catalog.Revision, byName: map[string][]trigger{}, timers: timers{}, bySlug: map[string]stepwell.Function{},
		flows: map[stepwell.FunctionID]flow{},
	}
	for _, function := range catalog.Functions {
		s.runs.Know(function)
		if !function.ArchivedAt.IsZero() {
			continue
		}
		fresh.bySlug[function.Slug] = function
		controls, problems := compileFlow(function)
		fresh.flows[function.ID] = controls
		for _, problem := range problems {
			s.deps.Log.ErrorContext(ctx, "flow control cannot be compiled",
				slog.String("function_id", function.Slug), slog.String("error", problem.Error()))
		}
		for _, t := range function.Triggers {
			if err := fresh.add(function, t); err != nil {
				// It was compiled when the function was synced.
				s.deps.Log.ErrorContext(ctx, "trigger cannot be compiled",
					slog.String("function_id", function.Slug), slog.String("error", err.Error()))
			}
		}
	}
	s.limits.learn(catalog)
	s.mu.Lock()
	defer s.mu.Unlock()
	if newest := s.indexes[environment]; newest == nil || newest.revision < fresh.revision {
		s.indexes[environment] = fresh
	}
	return fresh, nil
}

func (x *index) add(function stepwell.Function, t stepwell.Trigger) error {
	if t.Cron != "" {
		return x.addTimer(function, t)
	}
	compiled := trigger{function: function}
	if t.Expression != "" {
		program, err := expr.Compile(t.Expression, expr.Full)
		if err != nil {
			return fmt.Errorf("trigger %s: %w", t.Event, err)
		}
		compiled.condition = program
	}
	x.byName[t.Event] = append(x.byName[t.Event], compiled)
	return nil
}

// match returns the functions that the event starts, each once: the one that it invokes, and those that it triggers. A condition that cannot be evaluated does not match;
// problems tell why.
func (x *index) match(event stepwell.Event, now time.Time) (functions []stepwell.Function, problems []error) {
	var vars *expr.Vars
	matched := map[stepwell.FunctionID]bool{}
	if t, fired := x.timerOf(event); fired {
		matched[t.function.ID] = true
		functions = append(functions, t.function)
	}
	if slug, invokes := engine.Invokes(event); invokes {
		if function, found := x.bySlug[slug]; found {
			matched[function.ID] = true
			functions = append(functions, function)
		}
	}
	for _, name := range stepwell.EventNames(event.Name) {
		for _, t := range x.byName[name] {
			if matched[t.function.ID] {
				continue
			}
			if t.condition != nil {
				if vars == nil {
					vars = &expr.Vars{Event: event.Variables(), Now: now}
				}
				ok, err := t.condition.Match(*vars)
				if err != nil {
					problems = append(problems, fmt.Errorf("function %s: %q: %w", t.function.Slug, t.condition.Source(), err))
				}
				if !ok {
					continue
				}
			}
			matched[t.function.ID] = true
			functions = append(functions, t.function)
		}
	}
	return functions, problems
}
