package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// index finds the functions that an event may start. It never changes.
type index struct {
	revision int64
	// byName are the triggers of each event name, and of each prefix with its wildcard.
	byName map[string][]trigger
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
	fresh := &index{revision: catalog.Revision, byName: map[string][]trigger{}}
	for _, function := range catalog.Functions {
		if !function.ArchivedAt.IsZero() {
			continue
		}
		for _, t := range function.Triggers {
			if err := fresh.add(function, t); err != nil {
				// It was compiled when the function was synced.
				s.deps.Log.ErrorContext(ctx, "trigger cannot be compiled",
					slog.String("function_id", function.Slug), slog.String("error", err.Error()))
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if newest := s.indexes[environment]; newest == nil || newest.revision < fresh.revision {
		s.indexes[environment] = fresh
	}
	return fresh, nil
}

func (x *index) add(function stepwell.Function, t stepwell.Trigger) error {
	if t.Event == "" {
		return nil
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

// match returns the functions that the event starts, each once. A condition that cannot be evaluated does not match;
// problems tell why.
func (x *index) match(event stepwell.Event, now time.Time) (functions []stepwell.Function, problems []error) {
	var vars *expr.Vars
	matched := map[stepwell.FunctionID]bool{}
	for _, name := range candidates(event.Name) {
		for _, t := range x.byName[name] {
			if matched[t.function.ID] {
				continue
			}
			if t.condition != nil {
				if vars == nil {
					vars = &expr.Vars{Event: variables(event), Now: now}
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

// candidates are the names by which triggers may have asked for the event: its own, and its prefixes up to each / and .
// with a wildcard: `a/b.c` is also `a/*` and `a/b.*`.
func candidates(name string) []string {
	names := []string{name}
	for i := range len(name) {
		if name[i] == '/' || name[i] == '.' {
			names = append(names, name[:i+1]+"*")
		}
	}
	if strings.HasPrefix(strings.ToLower(name), stepwell.InternalEventPrefix) {
		return names[:1] // no wildcard reaches the server's own events
	}
	return names
}

// variables are the event as expressions see it.
func variables(event stepwell.Event) map[string]any {
	vars := map[string]any{
		"id": event.PublicID(), "name": event.Name, "ts": float64(event.Time.UnixMilli()),
		"data": decode(event.Data), "user": decode(event.User),
	}
	if event.Version != "" {
		vars["v"] = event.Version
	}
	return vars
}

// decode reads JSON that was checked when the event was received.
func decode(raw json.RawMessage) any {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return map[string]any{}
	}
	return value
}
