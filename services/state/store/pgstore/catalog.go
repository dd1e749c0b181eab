package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// SyncApp implements store.Catalog.
func (s *Store) SyncApp(
	ctx context.Context, app stepwell.App, functions []stepwell.Function,
) (modified bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	err = s.transact(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		if err := begin().send(ctx, conn); err != nil {
			return err
		}
		q := pgsql.New(conn)
		if _, err := q.LockCatalog(ctx, pgUUID(app.Environment.UUID)); err != nil {
			return err
		}
		checksum, err := q.AppChecksum(ctx, pgUUID(app.ID.UUID))
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		modified = err != nil || checksum != app.Checksum
		if modified {
			err = syncApp(ctx, q, app, functions)
		} else {
			err = q.TouchApp(ctx, pgTime(app.SyncedAt), pgUUID(app.ID.UUID))
		}
		if err != nil {
			return err
		}
		p := &pipeline{}
		p.commit()
		return p.send(ctx, conn)
	})
	if err != nil {
		return false, fmt.Errorf("sync app %s: %w", app.Name, err)
	}
	return modified, nil
}

func syncApp(ctx context.Context, q *pgsql.Queries, app stepwell.App, functions []stepwell.Function) error {
	rows, err := q.FunctionsOfApp(ctx, pgUUID(app.ID.UUID))
	if err != nil {
		return err
	}
	before := map[stepwell.FunctionID]stepwell.Function{}
	for _, row := range rows {
		function, err := fromFunction(row)
		if err != nil {
			return err
		}
		before[function.ID] = function
	}
	if err := q.PutApp(ctx, pgsql.PutAppParams{
		ID: pgUUID(app.ID.UUID), EnvironmentID: pgUUID(app.Environment.UUID), Name: app.Name, Url: app.URL, Sdk: app.SDK,
		Framework: app.Framework, Version: app.Version, Checksum: app.Checksum, SyncedAt: pgTime(app.SyncedAt),
	}); err != nil {
		return err
	}
	put := pgsql.PutFunctionsParams{
		EnvironmentID: pgUUID(app.Environment.UUID), AppID: pgUUID(app.ID.UUID), CreatedAt: pgTime(app.SyncedAt),
	}
	active := []pgtype.UUID{} // not null, which no function would be missing from
	for _, function := range functions {
		active = append(active, pgUUID(function.ID.UUID))
		if err := appendFunction(&put, before[function.ID], function); err != nil {
			return err
		}
	}
	if err := q.PutFunctions(ctx, put); err != nil {
		return err
	}
	if err := q.PutFunctionVersions(ctx, put.Ids); err != nil {
		return err
	}
	if err := q.ArchiveFunctions(ctx, pgTime(app.SyncedAt), pgUUID(app.ID.UUID), active); err != nil {
		return err
	}
	return q.BumpCatalog(ctx, pgUUID(app.Environment.UUID))
}

// appendFunction adds the synced function's next version, unless it is the one from before.
func appendFunction(put *pgsql.PutFunctionsParams, before, synced stepwell.Function) error {
	synced.Version, synced.CreatedAt, synced.ArchivedAt = before.Version, before.CreatedAt, before.ArchivedAt
	synced.Hold = before.Hold
	if before.Version > 0 && before.ArchivedAt.IsZero() && reflect.DeepEqual(before, synced) {
		return nil
	}
	triggers, err := json.Marshal(synced.Triggers)
	if err != nil {
		return fmt.Errorf("encode triggers: %w", err)
	}
	flowControl, err := json.Marshal(synced.FlowControl)
	if err != nil {
		return fmt.Errorf("encode flow control: %w", err)
	}
	put.Ids = append(put.Ids, pgUUID(synced.ID.UUID))
	put.Slugs = append(put.Slugs, synced.Slug)
	put.Names = append(put.Names, synced.Name)
	put.Versions = append(put.Versions, int32(synced.Version+1))
	put.Urls = append(put.Urls, synced.URL)
	put.Retries = append(put.Retries, int32(synced.Retries))
	put.Triggers = append(put.Triggers, triggers)
	put.FlowControls = append(put.FlowControls, flowControl)
	return nil
}

// HoldFunction implements store.Catalog.
func (s *Store) HoldFunction(
	ctx context.Context, environment stepwell.EnvironmentID, function stepwell.FunctionID, hold stepwell.Hold,
) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	err := s.transact(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		if err := begin().send(ctx, conn); err != nil {
			return err
		}
		q := pgsql.New(conn)
		if _, err := q.LockCatalog(ctx, pgUUID(environment.UUID)); err != nil {
			return err
		}
		before, err := q.FunctionHold(ctx, pgUUID(function.UUID), pgUUID(environment.UUID))
		if errors.Is(err, pgx.ErrNoRows) {
			return stepwell.ErrNotFound
		}
		if err != nil {
			return err
		}
		p := &pipeline{}
		if stepwell.Hold(before) != hold {
			queued := pgsql.New(p)
			if err := queued.HoldFunction(ctx, int16(hold), pgUUID(function.UUID)); err != nil {
				return err
			}
			if err := queued.BumpCatalog(ctx, pgUUID(environment.UUID)); err != nil {
				return err
			}
		}
		p.commit()
		return p.send(ctx, conn)
	})
	if err != nil {
		return fmt.Errorf("hold function %s: %w", function, err)
	}
	return nil
}

// Functions implements store.Catalog.
func (s *Store) Functions(
	ctx context.Context, environment stepwell.EnvironmentID, known int64,
) (store.Functions, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	id := pgUUID(environment.UUID)
	revisions, err := pgsql.New(s.writes).CatalogRevisions(ctx, []pgtype.UUID{id})
	if err != nil {
		return store.Functions{}, fmt.Errorf("read catalog: %w", classify(err))
	}
	var result store.Functions
	if len(revisions) > 0 {
		result.Revision = revisions[0].Revision
	}
	if known == result.Revision {
		return result, nil
	}
	// The revision is read before the functions: if they change in between, the next question finds a newer one.
	var apps []pgsql.App
	var functions []pgsql.Function
	p := &pipeline{}
	collect(p, &apps, pgsql.ListApps, id)
	collect(p, &functions, pgsql.ListFunctions, id)
	if err := p.send(ctx, s.writes); err != nil {
		return store.Functions{}, fmt.Errorf("read catalog: %w", classify(err))
	}
	for _, row := range apps {
		result.Apps = append(result.Apps, fromApp(row))
	}
	for _, row := range functions {
		function, err := fromFunction(row)
		if err != nil {
			return store.Functions{}, err
		}
		result.Functions = append(result.Functions, function)
	}
	return result, nil
}
