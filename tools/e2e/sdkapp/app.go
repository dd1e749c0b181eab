// Package sdkapp is the apps under test: how they are installed, started, asked and steered. The programs themselves are in
// the folder apps.
//
// It must not know the server or the scenarios.
package sdkapp

import "maps"

// App is a program under test, in one of the modes of its SDK.
type App struct {
	Name string
	// ID is the app's ID in the SDK, with which the server's names of functions begin.
	ID string
	// SDK is the SDK as the server names it.
	SDK string
	// Newest is whether it is the app with which everything is played: the newest SDK, as it comes.
	Newest bool
	// Checkpointing is whether the SDK reports steps as it goes on, instead of ending a call with each.
	Checkpointing bool
	// Lacks are the abilities that the SDK does not have, and why.
	Lacks map[Ability]string

	env     []string
	program program
}

// Ability is what some SDKs cannot do.
type Ability string

const (
	// Race is to go on with the first of several steps.
	Race Ability = "race"
	// Branches is that a parallel branch goes on while another one still runs.
	Branches Ability = "branches"
	// OwnAttempts is that every step sees attempt numbers of its own.
	OwnAttempts Ability = "own attempts"
	// ErrorNames is that the name and stack of the user's error reach the server.
	ErrorNames Ability = "error names"
	// Checkpoints is to go on with the next step in the same call.
	Checkpoints Ability = "checkpoints"
	// Halts is to end a call when a report of what it did is refused, because the run has ended.
	Halts Ability = "halts"
	// SendSignal is to send a signal from a step.
	SendSignal Ability = "send signal"
	// Defers is to have a function run when another has ended.
	Defers Ability = "defers"
	// Wraps is to make a call to a model a step.
	Wraps Ability = "wraps"
	// Endpoints are steps in the handler of an HTTP request.
	Endpoints Ability = "endpoints"
	// ParallelEndpoints are parallel steps in one.
	ParallelEndpoints Ability = "parallel endpoints"
	// EndpointRetries are steps in one that are retried.
	EndpointRetries Ability = "endpoint retries"
	// BatchConditions is to have events start a run alone, by a condition, although others are batched.
	BatchConditions Ability = "batch conditions"
)

// Apps are the apps under test. folder is where the programs are, built is where compiled ones go.
func Apps(folder, built string) []App {
	const (
		noBranches   = "group has no mode before v0.13.1: the next steps are found when all branches have come as far"
		noCheckpoint = "it is not switched on there"
		noHalt       = "the SDK goes on with its call when a report is refused; what it then reports is refused, too"
		noEndpoints  = "the SDK has none"
		noTarget     = "an endpoint that is called again does not look at which step it is to run"
		ownAnswer    = "the handler sees the error at once and answers by itself"
		noDefers     = "the SDK has no such thing"
		sameAttempt  = "after a retry the SDK goes on with the next steps in the same call, which has one attempt number"
	)
	js4 := &nodeProgram{folder: folder + "/js4", file: "main.mjs"}
	js3 := &nodeProgram{folder: folder + "/js3", file: "main.mjs"}
	go15 := &goProgram{folder: folder + "/go15", built: built}
	go13 := &goProgram{folder: folder + "/go13", built: built}
	apps := []App{
		{Name: "js4", SDK: "js:v4.24.0", Newest: true, Checkpointing: true, program: js4},
		{
			Name: "js4-no-checkpointing", SDK: "js:v4.24.0", env: []string{"CHECKPOINTING=off"}, program: js4,
			Lacks: map[Ability]string{Checkpoints: noCheckpoint},
		},
		{
			Name: "js3", SDK: "js:v3.54.2", program: js3,
			Lacks: map[Ability]string{
				Checkpoints: "off unless an app asks for it, which this one does not", Endpoints: noEndpoints,
				ParallelEndpoints: noEndpoints, EndpointRetries: noEndpoints, Defers: noDefers,
			},
		},
		{
			Name: "go15", SDK: "go:v0.15.0", program: go15,
			Lacks: goLacks(map[Ability]string{
				Checkpoints: noCheckpoint, ParallelEndpoints: noTarget, EndpointRetries: ownAnswer,
			}),
		},
		{
			Name: "go15-checkpointing", SDK: "go:v0.15.0", Checkpointing: true, env: []string{"CHECKPOINTING=on"}, program: go15,
			Lacks: goLacks(map[Ability]string{
				OwnAttempts: sameAttempt, Halts: noHalt, ParallelEndpoints: noTarget, EndpointRetries: ownAnswer,
			}),
		},
		{
			Name: "go13", SDK: "go:v0.13.0", program: go13,
			Lacks: goLacks(map[Ability]string{
				Branches: noBranches, Checkpoints: "the SDK has none", Endpoints: noEndpoints, ParallelEndpoints: noEndpoints,
				EndpointRetries: noEndpoints, BatchConditions: "the SDK has none",
			}),
		},
	}
	for i := range apps {
		apps[i].ID = "kitchen-sink"
	}
	return apps
}

// goLacks is what every version of the Go SDK lacks, and more.
func goLacks(more map[Ability]string) map[Ability]string {
	lacks := map[Ability]string{
		Race:       "group.Parallel returns when all of its functions have; the SDK offers nothing else",
		ErrorNames: "the SDK sends an error's text only",
		Wraps:      "the SDK has no such step; its `step.Run` does the same",
		SendSignal: "the SDK has no such step; an app can ask the server's API",
		Defers:     "the SDK has no such thing; a function with a trigger for the end of the other does nearly the same",
	}
	maps.Copy(lacks, more)
	return lacks
}

// QuickStart is the example with which the JavaScript SDK introduces itself.
func QuickStart(folder string) App {
	return App{
		Name: "js4-quick-start", ID: "my-app", SDK: "js:v4.24.0", Checkpointing: true,
		program: &nodeProgram{folder: folder + "/js4", file: "quickstart.mjs"},
	}
}
