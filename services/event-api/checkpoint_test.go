package eventapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/executor/executorclient"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

const runText = "01K1H8R13VAH3449HM1MKGPG03"

func discovery(t *testing.T) stepwell.Item {
	t.Helper()
	run, err := stepwell.ParseRunID(runText)
	require.NoError(t, err)
	return stepwell.NewDiscovery(stepwell.Run{ID: run}, 1, time.UnixMilli(0))
}

// TestCheckpointIsHandedToTheExecutor: under both names of the route, with the steps byte for byte.
func TestCheckpointIsHandedToTheExecutor(t *testing.T) {
	t.Parallel()
	item := discovery(t)
	const steps = `[ {"id":"a","op":"StepRun","data":1.0} ]`
	body := `{"run_id":"` + runText + `","fn_id":"x","qi_id":"` + sdk.EncodeLease(item.ID, 7) +
		`","request_id":"r","generation_id":7,"request_started_at":1754000000000,"ts":1754000000123,"steps":` + steps + `}`
	want := executorclient.Checkpoint{
		Environment: otherEnvironment(), Run: item.Run, Item: item.ID, Generation: 7, Ops: []byte(steps),
	}
	r := newRigWith(t, keys{})
	for _, path := range []string{"/v1/checkpoint/" + runText + "/async", "/v1/http/runs/" + runText + "/async"} {
		r.exec.reports = nil
		recorder := r.do(http.MethodPost, path, body, "Authorization", "Bearer "+goodKey)
		require.Equal(t, 200, recorder.Code)
		require.Empty(t, object(t, recorder))
		require.Equal(t, []executorclient.Checkpoint{want}, r.exec.reports)

		requireFailure(t, r.do(http.MethodPost, path, body), 401, "Authentication failed")
		require.Len(t, r.exec.reports, 1)
	}
	// The Go SDK does not send the generation on its own.
	body = `{"qi_id":"` + sdk.EncodeLease(item.ID, 8) + `","steps":` + steps + `}`
	r.exec.reports = nil
	r.do(http.MethodPost, "/v1/checkpoint/"+runText+"/async", body, "Authorization", "Bearer "+goodKey)
	require.Equal(t, 8, r.exec.reports[0].Generation)
}

// TestCheckpointStatuses: 409 makes an SDK stop, any other that is no 2xx makes it answer its call with what it has.
func TestCheckpointStatuses(t *testing.T) {
	t.Parallel()
	body := `{"qi_id":"` + sdk.EncodeLease(discovery(t).ID, 1) + `","steps":[]}`
	for _, test := range []struct {
		fail   error
		status int
		text   string
	}{
		{stepwell.Invalidf("cannot checkpoint opcode: Sleep"), 400, "cannot checkpoint opcode: Sleep"},
		{stepwell.ErrNotFound, 404, "not found"},
		{stepwell.ErrConflict, 409, "conflict"},
		{stepwell.TooLargef("4194305 bytes, at most 4194304"), 413, "at most 4194304"},
		{stepwell.ErrUnavailable, 503, "temporarily unavailable"},
		{errors.New("odd"), 500, "internal error"},
	} {
		r := newRig(t)
		r.exec.checkpoint = test.fail
		recorder := r.do(http.MethodPost, "/v1/checkpoint/"+runText+"/async", body)
		requireFailureWith(t, recorder, test.status, test.text, map[string]any{"run_id": runText})
	}
}

func TestCheckpointThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	item := sdk.EncodeLease(discovery(t).ID, 1)
	for _, test := range []struct{ run, body, problem string }{
		{runText, ``, "the checkpoint cannot be read"},
		{runText, `[]`, "the checkpoint cannot be read"},
		{runText, `{"qi_id":7}`, "the checkpoint cannot be read"},
		{runText, `{"qi_id":"` + item + `","generation_id":"7"}`, "the checkpoint cannot be read"},
		{runText, `{"steps":[]}`, `qi_id "" was not given out by this server`},
		{runText, `{"qi_id":"am9iOjpzaGFyZA=="}`, `qi_id "am9iOjpzaGFyZA==" was not given out by this server`},
		{"01K1", `{"qi_id":"` + item + `"}`, `run id "01K1" is not a ULID`},
	} {
		r := newRig(t)
		recorder := r.do(http.MethodPost, "/v1/checkpoint/"+test.run+"/async", test.body)
		requireFailureWith(t, recorder, 400, test.problem, map[string]any{"run_id": test.run})
		require.Empty(t, r.exec.reports)
	}
	r := newRig(t)
	large := strings.Repeat(" ", sdk.ResponseBytesMax+1)
	recorder := r.do(http.MethodPost, "/v1/checkpoint/"+runText+"/async", large)
	requireFailureWith(t, recorder, 413, "larger than 8388608 bytes", map[string]any{"run_id": runText})
}
