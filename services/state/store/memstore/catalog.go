package memstore

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// catalog is what one environment has synced.
type catalog struct {
	revision int64
	// scheduled is the revision that schedules are of.
	scheduled int64
	schedules schedules
	apps      map[stepwell.AppID]stepwell.App
	functions map[stepwell.FunctionID]stepwell.Function
}

func (s *Store) catalog(environment stepwell.EnvironmentID) *catalog {
	c, known := s.catalogs[environment]
	if !known {
		c = &catalog{
			apps:      map[stepwell.AppID]stepwell.App{},
			functions: map[stepwell.FunctionID]stepwell.Function{},
		}
		s.catalogs[environment] = c
	}
	return c
}

func (c *catalog) function(id stepwell.FunctionID) (stepwell.Function, stepwell.App) {
	function := c.functions[id]
	return function, c.apps[function.App]
}

// listens tells whether an active function has a trigger of the name.
func (c *catalog) listens(name string) bool {
	for _, function := range c.functions {
		named := func(t stepwell.Trigger) bool { return t.Event == name }
		if function.ArchivedAt.IsZero() && slices.ContainsFunc(function.Triggers, named) {
			return true
		}
	}
	return false
}

// SyncApp implements store.Catalog.
func (s *Store) SyncApp(_ context.Context, app stepwell.App, functions []stepwell.Function) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.catalog(app.Environment)
	before, known := c.apps[app.ID]
	c.apps[app.ID] = app
	if known && before.Checksum == app.Checksum {
		return false, nil
	}
	active := map[stepwell.FunctionID]bool{}
	for _, function := range functions {
		active[function.ID] = true
		c.functions[function.ID] = nextVersion(c.functions[function.ID], function, app)
	}
	for id, function := range c.functions {
		if function.App == app.ID && !active[id] && function.ArchivedAt.IsZero() {
			function.ArchivedAt = app.SyncedAt
			c.functions[id] = function
		}
	}
	c.revision++
	return true, nil
}

// nextVersion is the synced function with what the store assigns.
func nextVersion(before, synced stepwell.Function, app stepwell.App) stepwell.Function {
	synced.Version, synced.CreatedAt, synced.ArchivedAt = before.Version, before.CreatedAt, before.ArchivedAt
	synced.Hold = before.Hold
	if before.Version > 0 && before.ArchivedAt.IsZero() && reflect.DeepEqual(before, synced) {
		return before
	}
	synced.Version++
	synced.CreatedAt, synced.ArchivedAt = app.SyncedAt, time.Time{}
	return synced
}

// HoldFunction implements store.Catalog.
func (s *Store) HoldFunction(
	_ context.Context, environment stepwell.EnvironmentID, id stepwell.FunctionID, hold stepwell.Hold,
) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.catalog(environment)
	function, known := c.functions[id]
	if !known {
		return fmt.Errorf("function %s: %w", id, stepwell.ErrNotFound)
	}
	if function.Hold == hold {
		return nil
	}
	function.Hold = hold
	c.functions[id] = function
	c.revision++
	return nil
}

// Functions implements store.Catalog.
func (s *Store) Functions(
	_ context.Context, environment stepwell.EnvironmentID, known int64,
) (store.Functions, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.catalog(environment)
	result := store.Functions{Revision: c.revision}
	if known == c.revision {
		return result, nil
	}
	for _, app := range c.apps {
		result.Apps = append(result.Apps, app)
	}
	for _, function := range c.functions {
		result.Functions = append(result.Functions, function)
	}
	slices.SortFunc(result.Apps, func(a, b stepwell.App) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(result.Functions, func(a, b stepwell.Function) int { return strings.Compare(a.Slug, b.Slug) })
	return result, nil
}
