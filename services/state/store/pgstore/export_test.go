package pgstore

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// OpenOverheard opens a store whose one connection tells the test what Postgres says beside its answers.
func OpenOverheard(ctx context.Context, config Config, log *slog.Logger, hear func(*pgconn.Notice)) (*Store, error) {
	settings, err := poolSettings(config, config.URL, 1)
	if err != nil {
		return nil, err
	}
	settings.ConnConfig.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { hear(notice) }
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, err
	}
	return &Store{config: config, log: log, writes: pool, reads: pool}, nil
}
