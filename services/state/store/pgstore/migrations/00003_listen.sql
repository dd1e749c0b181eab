-- +goose Up

-- Waits are of kind 0 (an event resumes the run), 1 (a signal does) or 2 (an event cancels it, until some time).
ALTER TABLE waits ADD COLUMN until timestamptz;
DROP INDEX waits_match;
CREATE INDEX waits_match ON waits (environment_id, name, shape, key_hash, run_id, step_id) WHERE kind <> 1;
CREATE UNIQUE INDEX one_wait_for_a_signal ON waits (environment_id, name) WHERE kind = 1;

-- Functions that listen to the server's own events.
CREATE INDEX functions_listening ON functions (environment_id)
    WHERE archived_at IS NULL AND triggers::text LIKE '%inngest/%';

-- +goose Down
DROP INDEX functions_listening, one_wait_for_a_signal, waits_match;
DELETE FROM waits WHERE kind <> 0;
ALTER TABLE waits DROP COLUMN until;
CREATE INDEX waits_match ON waits (environment_id, kind, name, shape, key_hash, run_id, step_id);
