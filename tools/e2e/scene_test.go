package e2e

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/process"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

// scene is a rig while a scenario is played on it. If the scenario fails, it shows the runs that were looked at and what
// was logged meanwhile.
type scene struct {
	*testing.T
	*rig

	// patience is how long the scenario waits for a run to end.
	patience time.Duration

	runs []string
	// logged is how much each process had logged before.
	logged map[*process.Process]int
}

func newScene(t *testing.T, r *rig) *scene {
	t.Helper()
	s := &scene{T: t, rig: r, patience: patience, logged: map[*process.Process]int{}}
	for _, p := range s.processes() {
		s.logged[p] = p.LogSize()
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.show()
		}
	})
	return s
}

func (s *scene) processes() []*process.Process {
	list := slices.Clone(s.server.Processes)
	if s.process != nil && s.process.Process != nil {
		list = append(list, s.process.Process)
	}
	return list
}

func (s *scene) show() {
	s.Helper()
	for _, id := range s.runs {
		history, err := s.server.HistoryJSON(context.WithoutCancel(s.Context()), id)
		if err != nil {
			history = err.Error()
		}
		s.Logf("--- history of run %s\n%s", id, history)
	}
	for _, p := range s.processes() {
		s.Log(p.LogSince(s.logged[p]))
	}
}

// startApp starts the app, without the function of that ID if there is one, and waits until it answers.
func (s *scene) startApp(without string) {
	s.Helper()
	s.process = s.startAppWith(sdkapp.Settings{Port: s.port, Without: without})
}

// startAppWith starts another process of the app, which knows the server unless the settings say otherwise.
func (s *scene) startAppWith(settings sdkapp.Settings) *sdkapp.Running {
	s.Helper()
	settings.Env = slices.Concat(s.server.AppEnv, settings.Env)
	app, err := s.app.Start(context.WithoutCancel(s.Context()), settings)
	require.NoError(s, err)
	s.Cleanup(app.Kill)
	eventually(s, "the app answers", func() (bool, error) {
		ready, err := app.Ready(s.Context())
		require.NoError(s, err)
		return ready, check(ready, "it does not")
	})
	return app
}

// awaitFunction waits until the server knows a function of the app's.
func (s *scene) awaitFunction(id string) {
	s.Helper()
	eventually(s, "the server knows the function "+id, func() (bool, error) {
		known, err := s.knows(id)
		if err != nil {
			return false, err
		}
		return known, check(known, "it does not")
	})
}

// knows tells whether the server knows a function of the app's.
func (s *scene) knows(id string) (bool, error) {
	s.Helper()
	functions, err := s.server.Functions(s.Context())
	for _, function := range functions {
		if function.ID == s.app.ID+"-"+id {
			require.Equal(s, s.app.SDK, function.SDK)
			return true, nil
		}
	}
	return false, err
}

// start publishes an event with the SDK and returns the one run that it starts.
func (s *scene) start(name string, data map[string]any) string {
	s.Helper()
	return s.runOf(s.send(target.Event{Name: name, Data: data})[0])
}

// send publishes events with the SDK and returns their IDs.
func (s *scene) send(events ...target.Event) []string {
	s.Helper()
	ids, err := s.process.Send(s.Context(), events...)
	require.NoError(s, err)
	require.Len(s, ids, len(events))
	return ids
}

// runOf is the one run that an event started.
func (s *scene) runOf(event string) string {
	s.Helper()
	run := eventually(s, "event "+event+" starts a run", func() (string, error) {
		runs, err := s.server.EventRuns(s.Context(), event)
		if err != nil || len(runs) == 0 {
			return "", check(false, "%d runs, error %v", len(runs), err)
		}
		require.Len(s, runs, 1)
		return runs[0].ID, nil
	})
	s.runs = append(s.runs, run)
	return run
}

// await waits until a run ends, which must be with the status.
func (s *scene) await(run, status string) target.Run {
	s.Helper()
	return within(s, s.patience, "run "+run+" ends", func() (target.Run, error) {
		r, err := s.server.Run(s.Context(), run)
		if err != nil {
			return r, err
		}
		if r.Status != target.Running {
			require.Equal(s, status, r.Status, "output: %s", r.Output)
		}
		return r, check(r.Status == status, "it is %s", r.Status)
	})
}

// output is what a run returns. It must complete.
func (s *scene) output(run string) string {
	s.Helper()
	return string(s.await(run, target.Completed).Output)
}

// decode is output as a value.
func decode[T any](s *scene, output string) T {
	s.Helper()
	var value T
	require.NoError(s, json.Unmarshal([]byte(output), &value))
	return value
}

// failure is why a run fails. It must fail.
func (s *scene) failure(run string) target.Failure {
	s.Helper()
	failure, err := s.await(run, target.Failed).Failure()
	require.NoError(s, err)
	return failure
}

// executions are what the app's process executed for a run.
func (s *scene) executions(run string) sdkapp.Executions {
	s.Helper()
	executions, err := s.process.Executions(s.Context(), run)
	require.NoError(s, err)
	return executions
}

// awaitBody waits until the app executes a body for a run.
func (s *scene) awaitBody(run, body string) {
	s.Helper()
	eventually(s, "the app executes "+body, func() (bool, error) {
		executions, err := s.process.Executions(s.Context(), run)
		if err != nil {
			return false, err
		}
		return true, check(len(executions.Of(body)) > 0, "it executed %v", executions.Counts())
	})
}

// awaitStep waits until a step of a run has a status.
func (s *scene) awaitStep(run, name, status string) {
	s.Helper()
	eventually(s, "step "+name+" is "+status, func() (bool, error) {
		history, err := s.server.History(s.Context(), run)
		if err != nil {
			return false, err
		}
		is := slices.ContainsFunc(history.Steps, func(step target.Step) bool {
			return step.Name == name && step.Status == status
		})
		return is, check(is, "the steps are %v", history.Steps)
	})
}

// open opens a gate of the app's.
func (s *scene) open(gate string) {
	s.Helper()
	require.NoError(s, s.process.Open(s.Context(), gate))
}
