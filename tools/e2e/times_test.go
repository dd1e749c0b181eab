package e2e

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func times() []scenario {
	return []scenario{
		{name: "sleep", proves: proves(compatibility.Sleep), play: sleep},
		{name: "sleep below a second", proves: proves(compatibility.Sleep), play: shortSleep},
		{name: "sleep until", proves: proves(compatibility.SleepUntil), play: sleepUntil},
		{name: "event in the future", proves: proves(compatibility.FutureEvent), play: eventInFuture},
	}
}

// nap is how long functions sleep here.
const nap = time.Second

func sleep(s *scene) {
	run := s.start("e2e/sleep", map[string]any{"milliseconds": nap.Milliseconds()})
	require.JSONEq(s, `{"after":2}`, s.output(run))
	executions := s.executions(run)
	require.Equal(s, map[string]int{"before": 1, "after": 1}, executions.Counts())
	require.GreaterOrEqual(s, executions.Of("after")[0].Began().Sub(executions.Of("before")[0].Began()), nap)
}

// shortSleep: version 3 of the JavaScript SDK drops what is below a second, and sends an empty duration here.
func shortSleep(s *scene) {
	run := s.start("e2e/sleep", map[string]any{"milliseconds": 10})
	require.JSONEq(s, `{"after":2}`, s.output(run))
	require.Equal(s, map[string]int{"before": 1, "after": 1}, s.executions(run).Counts())
}

func sleepUntil(s *scene) {
	until := time.Now().Add(nap).UTC().Truncate(time.Millisecond)
	text := until.Format("2006-01-02T15:04:05.000Z07:00")
	run := s.start("e2e/sleep-until", map[string]any{"until": text})
	require.JSONEq(s, `{"until":"`+text+`"}`, s.output(run))
	after := s.executions(run).Of("after")
	require.Len(s, after, 1)
	require.False(s, after[0].Began().Before(until), "it woke at %s, before %s", after[0].Began(), until)
}

func eventInFuture(s *scene) {
	at := time.Now().Add(2 * time.Second)
	event := s.send(target.Event{Name: "e2e/echo", TS: at.UnixMilli()})[0]
	run := s.runOf(event)
	s.output(run)
	executions := s.executions(run)
	require.Len(s, executions, 1)
	require.GreaterOrEqual(s, executions[0].At, at.UnixMilli())
}
