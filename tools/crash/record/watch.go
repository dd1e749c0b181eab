package record

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// watch makes Postgres itself note every change of what must not change any more: a run that has ended, a step that has
// its result. Looking later would see the last value only. A step that is written for a run which another transaction has
// ended is a change of that run.
const watch = `
CREATE TABLE crash_changes (what text NOT NULL, run_id uuid NOT NULL, change text NOT NULL);

CREATE FUNCTION crash_note_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO crash_changes VALUES ('runs', OLD.id, format('status %s, output %s became status %s, output %s',
		OLD.status, convert_from(OLD.output, 'UTF8'), NEW.status, convert_from(NEW.output, 'UTF8')));
	RETURN NULL;
END $$;

CREATE FUNCTION crash_note_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO crash_changes VALUES ('steps', OLD.run_id, format('step %s: status %s, result %s became status %s, result %s',
		OLD.name, OLD.status, convert_from(OLD.result, 'UTF8'), NEW.status, convert_from(NEW.result, 'UTF8')));
	RETURN NULL;
END $$;

CREATE FUNCTION crash_note_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO crash_changes SELECT 'late', r.id, format('it has ended with status %s, and step %s was written', r.status, NEW.name)
		FROM runs AS r WHERE r.id = NEW.run_id AND r.status <> 0 AND r.xmin <> pg_current_xact_id()::xid;
	RETURN NULL;
END $$;

CREATE TRIGGER crash_late AFTER INSERT OR UPDATE ON steps FOR EACH ROW EXECUTE FUNCTION crash_note_late();
CREATE TRIGGER crash_watch AFTER UPDATE ON runs FOR EACH ROW WHEN (OLD.status <> 0) EXECUTE FUNCTION crash_note_run();
CREATE TRIGGER crash_watch AFTER UPDATE ON steps FOR EACH ROW WHEN (OLD.status <> 0) EXECUTE FUNCTION crash_note_step();`

// Watch begins to watch a database that has its tables and no data.
func Watch(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, watch); err != nil {
		return fmt.Errorf("watch the database: %w", err)
	}
	return nil
}
