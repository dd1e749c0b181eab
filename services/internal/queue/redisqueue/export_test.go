package redisqueue

import "time"

// WithoutPolling keeps those who wait from looking for themselves: only a token wakes them.
func (q *Queue) WithoutPolling() { q.pollEvery = time.Hour }
