package record

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// Left is what is left to do. When all runs have ended, it is nothing.
type Left struct {
	// Live are runs that have not ended, Unrouted events that nobody has decided about, Waits what runs wait for.
	Live, Unrouted, Waits int64
	// Queued are the items in the queue, the dead ones among them.
	Queued, Dead int64
}

// String says what is left.
func (l Left) String() string {
	return fmt.Sprintf("%d runs live, %d events unrouted, %d waits, %d items queued, %d of them dead",
		l.Live, l.Unrouted, l.Waits, l.Queued, l.Dead)
}

// Left asks what is left to do.
func (r *Reader) Left(ctx context.Context) (Left, error) {
	left := Left{}
	err := r.conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM heads),
		(SELECT count(*) FROM events WHERE NOT routed), (SELECT count(*) FROM waits)`).
		Scan(&left.Live, &left.Unrouted, &left.Waits)
	if err != nil {
		return left, fmt.Errorf("count what is left: %w", err)
	}
	keys := r.redis.Scan(ctx, 0, "stepwell:{*}:*", scanCount).Iterator()
	for keys.Next(ctx) {
		var count int64
		switch name := keys.Val()[strings.LastIndexByte(keys.Val(), ':')+1:]; name {
		case "items":
			count, err = r.redis.HLen(ctx, keys.Val()).Result()
			left.Queued += count
		case "dead":
			count, err = r.redis.ZCard(ctx, keys.Val()).Result()
			left.Dead += count
		}
		if err != nil {
			return left, fmt.Errorf("count what is queued: %w", err)
		}
	}
	if err := keys.Err(); err != nil {
		return left, fmt.Errorf("look for the queue: %w", err)
	}
	return left, nil
}

// scanCount is how many keys Redis looks at in one go.
const scanCount = 1000

// Reader keeps its connections for as long as a system is waited for.
type Reader struct {
	conn  *pgx.Conn
	redis *redis.Client
}

// Open connects to the system's Postgres and Redis.
func Open(ctx context.Context, postgresURL, redisURL string) (*Reader, error) {
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		return nil, fmt.Errorf("read Redis' URL: %w", err)
	}
	conn, err := pgx.Connect(ctx, postgresURL)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &Reader{conn: conn, redis: redis.NewClient(options)}, nil
}

// Close ends the connections.
func (r *Reader) Close(ctx context.Context) {
	r.redis.Close()
	r.conn.Close(ctx)
}

// Flush deletes everything in a Redis.
func Flush(ctx context.Context, redisURL string) error {
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		return fmt.Errorf("read Redis' URL: %w", err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	return client.FlushAll(ctx).Err()
}
