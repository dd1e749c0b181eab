package memqueue_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/memqueue"
	"github.com/stepwell/stepwell/services/internal/queue/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestQueue(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(*testing.T) queue.Queue { return memqueue.New() })
}
