package eventapi

import (
	"encoding/json"
	"net/http"

	"github.com/stepwell/stepwell/services/executor/executorclient"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// checkpointBytesMax bounds a report of steps: a step's largest result, and some.
const checkpointBytesMax = sdk.ResponseBytesMax

// checkpoint serves POST /v1/checkpoint/{run}/async: steps that an app ran while its call goes on. Any status but a 2xx
// makes the SDK answer its call with what it has; 409 makes it stop.
func (s *Service) checkpoint(w http.ResponseWriter, r *http.Request, environment stepwell.EnvironmentID) {
	body, err := readBody(w, r, checkpointBytesMax)
	var report executorclient.Checkpoint
	if err == nil {
		report, err = parseCheckpoint(r.PathValue("run"), body)
	}
	if err == nil {
		report.Environment = environment
		err = s.deps.Executor.Checkpoint(r.Context(), report)
	}
	if err != nil {
		s.failWith(w, r, map[string]string{"run_id": r.PathValue("run")}, err)
		return
	}
	respond(w, http.StatusOK, struct{}{})
}

func parseCheckpoint(run string, body []byte) (executorclient.Checkpoint, error) {
	var wire struct {
		QueueItemID  string          `json:"qi_id"`
		GenerationID int             `json:"generation_id"`
		Steps        json.RawMessage `json:"steps"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		return executorclient.Checkpoint{}, stepwell.Invalidf("the checkpoint cannot be read: %v", err)
	}
	id, err := stepwell.ParseRunID(run)
	if err != nil {
		return executorclient.Checkpoint{}, err
	}
	item, generation, err := sdk.DecodeLease(wire.QueueItemID)
	if err != nil {
		return executorclient.Checkpoint{}, err
	}
	if generation == 0 {
		generation = wire.GenerationID
	}
	return executorclient.Checkpoint{Run: id, Item: item, Generation: generation, Ops: wire.Steps}, nil
}
