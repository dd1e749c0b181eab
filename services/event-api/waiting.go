package eventapi

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// apiWaiting is why an item is not worked on.
type apiWaiting struct {
	// For is `turn` (no executor had room yet), `concurrency`, `throttle`, `paused`, or `limits` (they are not known yet).
	For string `json:"for"`
	// Scope, Key and Value are those of the limit: `function`, `environment` or `account`; an expression, and what it
	// yielded.
	Scope string `json:"scope,omitempty"`
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
	// Ahead is how many items that share the limits go before it.
	Ahead int `json:"ahead"`
}

// explainTimeout bounds asking the queue for somebody who looks at a run.
const explainTimeout = time.Second

// explain says of the run's open items why they wait. If the queue does not answer, that is left out.
func (s *Service) explain(ctx context.Context, run *apiRun, history stepwell.RunHistory) {
	open := history.Run.Progress.Open
	if len(open) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	waiting, err := s.deps.Runner.ExplainWaiting(ctx, open)
	if err != nil {
		s.deps.Log.DebugContext(ctx, "it is not known why the run waits", slog.String("run_id", history.Run.ID.String()),
			slog.String("error", err.Error()))
		return
	}
	for i, item := range open {
		if w, known := waiting[item.ID]; known {
			run.Open[i].Waiting = newAPIWaiting(w, history.Function)
		}
	}
}

func newAPIWaiting(w stepwell.Waiting, function stepwell.Function) *apiWaiting {
	result := &apiWaiting{Ahead: w.Ahead}
	switch w.Why {
	case stepwell.WhyTurn:
		result.For = "turn"
	case stepwell.WhyPaused:
		result.For = "paused"
	case stepwell.WhyUnknown:
		result.For = "limits"
	case stepwell.WhyLimit:
		result.For = map[stepwell.LimitKind]string{
			stepwell.LimitConcurrency: "concurrency", stepwell.LimitThrottle: "throttle",
		}[w.Limit.Kind]
		result.Scope = map[stepwell.Scope]string{
			stepwell.ScopeFunction: "function", stepwell.ScopeEnvironment: "environment", stepwell.ScopeAccount: "account",
		}[w.Limit.Scope]
		limits := function.Limits()
		at := slices.IndexFunc(limits, func(l stepwell.Limit) bool { return l.LimitName == w.Limit.LimitName })
		if at >= 0 {
			result.Key = limits[at].Expression
		}
		result.Value = w.Limit.Value
	}
	return result
}
