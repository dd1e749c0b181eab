package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func sequences() []scenario {
	return []scenario{
		{name: "hello", proves: proves(compatibility.NoSteps), play: hello},
		{name: "nothing returned", proves: proves(compatibility.Run), play: nothing},
		{name: "sequential steps", proves: proves(compatibility.Run), play: sequentialSteps},
		{name: "step id in a loop", proves: proves(compatibility.RepeatedIDs), play: loop},
		{name: "step id across kinds and branches", proves: proves(compatibility.RepeatedIDs), play: repeated},
		{name: "200 steps", proves: proves(compatibility.Run), play: long},
		{name: "step results keep their shape", proves: proves(compatibility.Values), play: values},
		{name: "3 MB step output", proves: proves(compatibility.Values), play: large},
		{name: "run output by API", proves: proves(compatibility.RunOutput), play: runOutput},
		{name: "step sends events", proves: proves(compatibility.SendEvent), play: sendingStep},
		{name: "step that sent is not repeated", proves: proves(compatibility.SendEvent), play: senderRetried},
		{name: "answer to sent events is lost", proves: proves(compatibility.SentOnce), play: lostAnswer, alone: true},
		{
			name: "steps checkpointed in a call", proves: proves(compatibility.Checkpointing), play: checkpointed,
			needs: sdkapp.Checkpoints,
		},
	}
}

func hello(s *scene) {
	run := s.start("e2e/hello", map[string]any{"name": "Ada"})
	require.JSONEq(s, `{"greeting":"Hello Ada"}`, s.output(run))
	require.Len(s, s.executions(run), 1, "the function's body is executed once")
}

func nothing(s *scene) {
	run := s.start("e2e/nothing", nil)
	require.Contains(s, []string{"", "null"}, s.output(run))
	require.Equal(s, map[string]int{"a": 1}, s.executions(run).Counts())
}

func sequentialSteps(s *scene) {
	run := s.start("e2e/sequence", nil)
	require.JSONEq(s, `{"a":1,"b":2,"c":3}`, s.output(run))
	executions := s.executions(run)
	require.Equal(s, map[string]int{"a": 1, "b": 1, "c": 1}, executions.Counts())
	calls := 4 // one for each step, and one that returns
	if s.app.Checkpointing {
		calls = 1
	}
	require.Len(s, executions.Of("function"), calls)
	var order []string
	for _, execution := range executions {
		if execution.Body != "function" {
			order = append(order, execution.Body)
		}
		require.Zero(s, execution.Attempt)
	}
	require.Equal(s, []string{"a", "b", "c"}, order)
}

func loop(s *scene) {
	run := s.start("e2e/loop", nil)
	require.JSONEq(s, `{"squares":[0,1,4,9,16]}`, s.output(run))
	require.Equal(s, map[string]int{"square": 5}, s.executions(run).Counts())
}

func repeated(s *scene) {
	run := s.start("e2e/repeated", nil)
	require.JSONEq(s, `{"numbers":[1,2,3,4]}`, s.output(run))
	require.Equal(s, map[string]int{"same": 4}, s.executions(run).Counts())
}

func long(s *scene) {
	run := s.start("e2e/long", nil)
	require.JSONEq(s, `{"sum":19900}`, s.output(run))
	require.Equal(s, map[string]int{"step": 200}, s.executions(run).Counts())
}

// values: what a step returns comes back as it was when the function is called again. Some look like the protocol's own
// objects.
func values(s *scene) {
	list := `[null,true,0,-1.5,1e21,"","\u0000ü😀</script>",[],{},[[null]],{"data":1},{"error":{"name":"a","message":"b"}},
		{"data":null,"error":null},{"type":"data","input":[1]},{"a":{"b":[{"c":null}]}}]`
	run := s.start("e2e/values", map[string]any{"values": json.RawMessage(list)})
	require.JSONEq(s, `{"values":`+list+`}`, s.output(run))
	require.Equal(s, map[string]int{"value": 15}, s.executions(run).Counts())
}

func large(s *scene) {
	const digits, size = "0123456789abcdef", 3 << 20
	run := s.start("e2e/large", map[string]any{"bytes": size})
	type hash struct {
		Bytes  int    `json:"bytes"`
		SHA256 string `json:"sha256"`
	}
	sum := sha256.Sum256([]byte(strings.Repeat(digits, size/len(digits))))
	require.Equal(s, hash{Bytes: size, SHA256: hex.EncodeToString(sum[:])}, decode[hash](s, s.output(run)))
	require.Equal(s, map[string]int{"make": 1, "hash": 1}, s.executions(run).Counts())
}

// runOutput: what a function returns is served for a run that is known by its ID alone, and listed with its event.
// With checkpointing the output comes as an operation among others, without it as the answer to a call.
func runOutput(s *scene) {
	event := s.send(target.Event{Name: "e2e/sequence"})[0]
	run := s.runOf(event)
	s.output(run)
	byID, err := s.server.Run(s.Context(), run)
	require.NoError(s, err)
	require.JSONEq(s, `{"a":1,"b":2,"c":3}`, string(byID.Output))
	byEvent, err := s.server.EventRuns(s.Context(), event)
	require.NoError(s, err)
	require.Equal(s, []target.Run{byID}, byEvent)
	s.awaitStep(run, "c", "Completed")
}

func sendingStep(s *scene) {
	run := s.start("e2e/sender", nil)
	sent := decode[struct{ IDs []string }](s, s.output(run))
	require.Len(s, sent.IDs, 3)
	for i, id := range sent.IDs {
		echoed := decode[struct{ Data map[string]any }](s, s.output(s.runOf(id)))
		require.EqualValues(s, i+1, echoed.Data["n"])
	}
}

// senderRetried: the function fails after the step that sent an event, and comes to it again.
func senderRetried(s *scene) {
	run := s.start("e2e/sender-retried", nil)
	sent := decode[struct{ IDs []string }](s, s.output(run))
	require.Len(s, sent.IDs, 1)
	s.output(s.runOf(sent.IDs[0]))
	require.Len(s, s.executions(run).Of("rest"), 2)
}

// lostAnswer: the server has stored the events of a step, but its answer does not reach the app. What the SDK then sends
// again are the same events.
func lostAnswer(s *scene) {
	door := newLossyDoor(s)
	s.process = s.startAppWith(sdkapp.Settings{Port: s.port, Env: []string{"INNGEST_EVENT_API_BASE_URL=" + door.url}})
	require.NoError(s, s.process.Sync(s.Context()))
	s.awaitFunction("sender")
	ids, err := s.server.Publish(s.Context(), target.Event{Name: "e2e/sender"})
	require.NoError(s, err)
	sent := decode[struct{ IDs []string }](s, s.output(s.runOf(ids[0])))
	answers := door.answers()
	require.Len(s, answers, 2, "the events were sent twice")
	require.Equal(s, answers[0], answers[1], "and got the same ids")
	require.Equal(s, sent.IDs, answers[1])
	for _, id := range sent.IDs {
		s.output(s.runOf(id))
	}
}

// checkpointed: a step is recorded while the call in which it ran goes on with the next one.
func checkpointed(s *scene) {
	run := s.start("e2e/held", map[string]any{"gate": "checkpointed"})
	s.awaitBody(run, "held")
	s.awaitStep(run, "first", "Completed")
	require.Len(s, s.executions(run).Of("function"), 1)
	s.open("checkpointed")
	require.JSONEq(s, `{"last":3}`, s.output(run))
	require.Len(s, s.executions(run).Of("function"), 1)
}
