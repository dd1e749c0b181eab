package e2e

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

// TestRestoredBackup goes back to a backup of Postgres that was made while runs were under way, with an empty Redis: they go
// on from there, and what ended before stays as it was.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	app := sdkapp.Apps(appsFolder, builtFolder)[0]
	require.NoError(t, app.Install(t.Context(), os.Stderr))
	s := newScene(t, newRig(t, target.Start(), app, true))
	s.startApp("")
	s.awaitFunction("held")
	order := target.Event{ID: "order-1", Name: "e2e/hello", Data: map[string]any{"name": "Ada"}}
	ended := s.runOf(s.send(order)[0])
	output := s.output(ended)
	asleep := s.start("e2e/sleep", map[string]any{"milliseconds": 1000})
	held := s.start("e2e/held", map[string]any{"gate": "held"})
	s.awaitBody(held, "held")
	waiting := s.start("e2e/held", map[string]any{"gate": "waiting"})
	s.awaitBody(waiting, "held")

	backup, err := stores.Backup(t.Context(), s.server)
	require.NoError(t, err)
	s.open("held")
	s.output(held)
	late := target.Event{ID: "order-2", Name: "e2e/hello", Data: map[string]any{"name": "Bob"}}
	lost := s.runOf(s.send(late)[0])
	s.output(lost)
	s.server.Stop()

	s.server = startServer(t, target.Start(), target.Settings{
		Programs: programs, Stores: &stores, Backup: backup, AppURLs: []string{sdkapp.ServeURL(s.port)},
	})
	require.JSONEq(t, output, s.output(ended))
	require.JSONEq(t, `{"last":3}`, s.output(held))
	require.Equal(t, 1, s.executions(held).Counts()["first"], "its result is in the backup")
	require.Equal(t, 2, s.executions(held).Counts()["held"], "its result was recorded since the backup")
	s.output(asleep)
	s.open("waiting")
	require.JSONEq(t, `{"last":3}`, s.output(waiting))

	_, err = s.server.Run(t.Context(), lost)
	require.Error(t, err, "it began since the backup")
	again := s.send(order, late)
	s.output(s.runOf(again[1]))
	runs, err := s.server.FunctionRuns(t.Context(), app.ID+"-hello")
	require.NoError(t, err)
	require.Len(t, runs, 2, "events that are in the backup start nothing again")
}
