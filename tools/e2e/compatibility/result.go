package compatibility

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// The outcomes of a scenario.
const (
	Passed        = "pass"
	Failed        = "fail"
	NotApplicable = "not applicable"
	LeftOut       = "left out"
)

// Result is what came of a scenario with an app on a kind of server. Programs read it; do not rename its members.
type Result struct {
	Target   string    `json:"target"`
	App      string    `json:"app"`
	SDK      string    `json:"sdk"`
	Scenario string    `json:"scenario"`
	Features []Feature `json:"features,omitempty"` // what the scenario proves
	Outcome  string    `json:"outcome"`
	Reason   string    `json:"reason,omitempty"` // why it is not played
	Seconds  float64   `json:"seconds"`
}

// Results are those of one run of the tests, as the file that E2E_RESULTS names has them.
type Results struct {
	// Whole is whether every scenario has a result with every app on every kind of server.
	Whole   bool     `json:"whole"`
	Results []Result `json:"results"`
}

// Write writes the results to a file.
func (r Results) Write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o600)
}

// Read reads results from a file. It is an error if they are not whole, because a page of them would say too little.
func Read(file string) (Results, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Results{}, fmt.Errorf("read results: %w", err)
	}
	var results Results
	if err := json.Unmarshal(text, &results); err != nil {
		return Results{}, fmt.Errorf("read results in %s: %w", file, err)
	}
	if !results.Whole {
		return Results{}, errors.New(file + " is of a run that played a part of the scenarios: run `make e2e`")
	}
	return results, nil
}
