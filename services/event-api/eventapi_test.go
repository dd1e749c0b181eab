package eventapi_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	eventapi "github.com/stepwell/stepwell/services/event-api"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestServiceNeedsItsDependencies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	all := eventapi.Deps{
		State: r.state, Runner: r.runner, Executor: r.exec, Keys: eventapi.OpenKeys{}, ServerKind: sdk.KindDev,
		Log: slog.New(slog.DiscardHandler),
	}
	_, err := eventapi.New(all)
	require.NoError(t, err)
	for _, without := range []func(*eventapi.Deps){
		func(d *eventapi.Deps) { d.State = nil }, func(d *eventapi.Deps) { d.Runner = nil },
		func(d *eventapi.Deps) { d.Executor = nil }, func(d *eventapi.Deps) { d.Keys = nil },
		func(d *eventapi.Deps) { d.ServerKind = "" }, func(d *eventapi.Deps) { d.Log = nil },
	} {
		deps := all
		without(&deps)
		_, err := eventapi.New(deps)
		require.ErrorContains(t, err, "event-api: state, runner, executor, keys, server kind and log are needed")
	}
}

func TestOpenKeysLetEverybodyIn(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "any"} {
		environment, err := eventapi.OpenKeys{}.EventKey(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, stepwell.DefaultEnvironment(), environment)
		environment, err = eventapi.OpenKeys{}.Authorization(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, stepwell.DefaultEnvironment(), environment)
	}
}
