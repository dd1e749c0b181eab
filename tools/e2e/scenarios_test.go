package e2e

import (
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

// scenario is a story that holds with every app on every kind of server.
type scenario struct {
	name string
	play func(s *scene)
	// proves are the features of the page on compatibility that the scenario is a proof of.
	proves []compatibility.Feature
	// needs is what the SDK must be able to do; optional.
	needs sdkapp.Ability
	// alone gives the scenario a server of its own, because it starts and kills its app itself. Where a server is costly, the
	// newest app plays it.
	alone bool
	// heavy is whether the scenario moves so much data that others at the same time would wait in vain. One is played at a
	// time, with more patience, and where a server is costly by the newest app only.
	heavy bool
	// raw is whether the scenario has an app of its own, without an SDK. It is played beside the newest SDK only.
	raw bool
	// server is whether the scenario is heavy and the same with every SDK: the newest one plays it.
	server bool
	// calls is whether the server is to call what only this machine reaches: the test itself, or the app by the name that the
	// test has for it.
	calls bool
	// keys is whether the scenario is about keys, which the server must ask for.
	keys bool
	// urls is, for a scenario that is alone, whether the server is told where the app will be.
	urls bool
}

// proves are the features that a scenario proves.
func proves(features ...compatibility.Feature) []compatibility.Feature { return features }

func scenarios() []scenario {
	return slices.Concat(sequences(), errorScenarios(), times(), parallels(), triggers(), events(), restarts(),
		keyScenarios(), requests(), largeStates(), checkpoints(), waits(), signals(),
		invocations(), cancellations(), failures(), defers(), newOps(),
		clocks(), endpoints(), limits(), holds())
}

// TestScenarios plays the scenarios with every app on every kind of server.
func TestScenarios(t *testing.T) {
	t.Parallel()
	apps := sdkapp.Apps(appsFolder, builtFolder)
	for _, kind := range target.Kinds() {
		// One kind after the other: the machine has enough to do with one.
		t.Run(kind.Name, func(t *testing.T) {
			for _, app := range apps {
				t.Run(app.Name, func(t *testing.T) {
					t.Parallel()
					playAll(t, kind, app)
				})
			}
		})
	}
	t.Run("compatibility page", requireCompatibilityPage)
}

// heavy is held by the heavy scenario that is played.
var heavy sync.Mutex

// playAll plays the scenarios with one app: those that are alone with servers of their own, the others on one.
func playAll(t *testing.T, kind target.Kind, app sdkapp.App) {
	t.Helper()
	require.NoError(t, app.Install(t.Context(), os.Stderr))
	together := newRig(t, kind, app, true)
	prologue := &scene{T: t, rig: together}
	prologue.startApp("")
	prologue.awaitFunction("hello")
	for _, sc := range scenarios() {
		r := compatibility.Result{
			Target: kind.Name, App: app.Name, SDK: app.SDK, Scenario: sc.name, Features: sc.proves,
		}
		if r.Outcome, r.Reason = sc.omission(kind, app); r.Outcome != "" {
			results.add(r)
			t.Logf("%s: %s: %s", sc.name, r.Outcome, r.Reason)
			continue
		}
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			results.watch(t, r)
			stage := together
			if sc.alone {
				stage = newRig(t, kind, app, sc.urls)
			}
			s := newScene(t, stage)
			if sc.heavy {
				s.patience = heavyPatience
				heavy.Lock()
				defer heavy.Unlock()
			}
			sc.play(s)
		})
	}
}

// omission is why a scenario is not played with an app on a kind of server, as the outcome that says so; empty if it is.
func (sc scenario) omission(kind target.Kind, app sdkapp.App) (outcome, reason string) {
	if reason, lacks := app.Lacks[sc.needs]; lacks {
		return compatibility.NotApplicable, reason
	}
	if sc.keys && !kind.Keys {
		return compatibility.NotApplicable, "the server asks for no keys"
	}
	if sc.raw && !app.Newest {
		return compatibility.LeftOut, "no SDK is part of it; it is played beside the newest one"
	}
	if sc.alone && kind.Costly && !app.Newest {
		return compatibility.LeftOut, "a server of its own costs too much here; the newest SDK plays it"
	}
	if sc.heavy && (sc.server || kind.Costly) && !app.Newest {
		return compatibility.LeftOut, "it moves too much data for all to play it here; the newest SDK plays it"
	}
	return "", ""
}
