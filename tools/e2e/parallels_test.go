package e2e

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func parallels() []scenario {
	return []scenario{
		{name: "20 parallel steps", proves: proves(compatibility.Parallel), play: fanOut},
		{name: "nested parallel steps", proves: proves(compatibility.Parallel), play: nested},
		{name: "parallel branch fails", proves: proves(compatibility.Parallel), play: partial},
		{name: "parallel branches go on", proves: proves(compatibility.Branches), play: branches, needs: sdkapp.Branches},
		{name: "race", proves: proves(compatibility.Race), play: race, needs: sdkapp.Race},
		{name: "promise race", proves: proves(compatibility.Race), play: promiseRace, needs: sdkapp.Race},
	}
}

func fanOut(s *scene) {
	run := s.start("e2e/fan-out", nil)
	output := decode[struct{ Parts []int }](s, s.output(run))
	once, inOrder := map[string]int{}, []int{}
	for i := range 20 {
		once[fmt.Sprintf("part-%d", i)] = 1
		inOrder = append(inOrder, i)
	}
	require.Equal(s, inOrder, output.Parts)
	require.Equal(s, once, s.executions(run).Counts())
}

func nested(s *scene) {
	run := s.start("e2e/nested", nil)
	require.JSONEq(s, `{"left":6,"right":33,"twice":78}`, s.output(run))
	require.Equal(s, map[string]int{
		"left1": 1, "left2": 1, "left3": 1, "right1": 1, "right2": 1, "right3": 1, "total": 1, "twice": 1,
	}, s.executions(run).Counts())
}

func partial(s *scene) {
	run := s.start("e2e/partial", nil)
	require.JSONEq(s, `{"after":"good, caught: bad luck"}`, s.output(run))
	executions := s.executions(run)
	require.Equal(s, map[string]int{"good": 1, "bad": 2, "after": 1}, executions.Counts())
	require.Equal(s, []int{0, 1}, executions.Of("bad").Attempts(), "a parallel step has attempts of its own")
}

// branches: the left branch reaches its second step while the right one is held in its first.
func branches(s *scene) {
	run := s.start("e2e/branches", map[string]any{"gate": "branches"})
	s.awaitBody(run, "right")
	s.awaitBody(run, "left2")
	s.open("branches")
	require.JSONEq(s, `{"sum":12}`, s.output(run))
	require.Equal(s, map[string]int{"left1": 1, "left2": 1, "right": 1}, s.executions(run).Counts())
}

// race: the function goes on with the winner while the loser still runs. Version 3 of the JS SDK lets the run end then;
// version 4 answers with the loser as not finished, so that the run ends after it.
func race(s *scene) {
	run := s.start("e2e/race", map[string]any{"gate": "race"})
	s.awaitBody(run, "slow")
	s.awaitStep(run, "after", "Completed")
	s.open("race")
	require.JSONEq(s, `{"after":"after fast"}`, s.output(run))
	require.Equal(s, map[string]int{"fast": 1, "slow": 1, "after": 1}, s.executions(run).Counts())
	again, err := s.server.Run(s.Context(), run)
	require.NoError(s, err)
	require.Equal(s, target.Completed, again.Status)
}

// promiseRace: a plain Promise.race has the winner that was first, even if the SDK waits for the loser.
func promiseRace(s *scene) {
	run := s.start("e2e/promise-race", map[string]any{"gate": "promise-race"})
	s.awaitBody(run, "slow")
	s.awaitStep(run, "fast", "Completed")
	s.open("promise-race")
	require.JSONEq(s, `{"after":"after fast"}`, s.output(run))
	require.Equal(s, map[string]int{"fast": 1, "slow": 1, "after": 1}, s.executions(run).Counts())
}
