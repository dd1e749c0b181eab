-- +goose Up

-- When somebody is to look whether a run takes too long. A run that ends earlier leaves its row until then.
CREATE TABLE deadlines (
    run_id uuid PRIMARY KEY,
    due_at timestamptz NOT NULL
);
CREATE INDEX deadlines_due ON deadlines (due_at);

-- +goose Down
DROP TABLE deadlines;
