package compatibility

// pythonSDK is the version of the Python SDK that was read. No app of the tests is written with it.
const pythonSDK = "Python 0.5.18"

// fact is what is known of a feature in the Python SDK without a test.
type fact struct {
	text string
	// section is where the notes on the protocol of SDKs, which were made from their sources, say so.
	section string
}

func python() map[Feature]fact {
	return map[Feature]fact{
		NoSteps:       {"a function's result is the answer with status 200", "§15"},
		Run:           {"each step ends a call, with the operation `StepRun`", "§0.2"},
		Checkpointing: {"the SDK has none", "§15"},
		StepErrors:    {"it reports `StepError`, and `StepFailed` after the last attempt", "§10.1, §15"},
		RepeatedIDs:   {"the second use of an id is hashed with `:1`, as in all SDKs", "§11"},
		ErrorNames:    {"errors carry code, name, message and stack", "§9.2"},
		NonRetriable: {
			"`NonRetriableError` and `RetryAfterError` in a step are errors of the function, not of the step", "§13.2",
		},
		Parallel:     {"it asks for one discovery after all planned steps (request version 2)", "§12, §15"},
		Race:         {"`parallelMode: \"race\"` is sent", "§12"},
		Sleep:        {"it sends the instant at which the sleep ends, not a duration", "§10.3, §15"},
		SleepUntil:   {"as `step.sleep`", "§10.3"},
		WaitForEvent: {"it reports the operation `WaitForEvent`, with the event in `name`", "§15"},
		Signals:      {"the SDK has no such step", "§10.1"},
		SendSignal:   {"the SDK has no such step", "§10.1"},
		Invoke:       {"it sends `null` for the members of `opts` that are not set", "§15"},
		Defer:        {"the SDK has no such thing", "§10.1"},
		DeferBounds:  {"the SDK has no such thing", "§10.1"},
		OnFailure:    {"it registers a function `<id>-failure` that is not retried", "§6.6"},
		Fetch:        {"the SDK has no such step", "§10.1"},
		Infer:        {"it reports the operation `AIGateway`", "§10.1"},
		LargeState:   {"it asks the API for the steps and events (`use_api`)", "§8, §15"},
		Keys:         {"it sends the hash of the signing key without the key's prefix", "§4.3"},
	}
}
