package executor_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	executorv1 "github.com/stepwell/stepwell/proto/gen/stepwell/executor/v1"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
)

func (r *rig) checkpoint(item stepwell.Item, generation int, ops string) error {
	_, err := r.service.Checkpoint(r.t.Context(), &executorv1.CheckpointRequest{
		EnvironmentId: wire.UUID(r.function.Environment.UUID), RunId: wire.ULID(item.Run.ULID),
		ItemId: string(item.ID), Generation: int32(generation), Ops: []byte(ops),
	})
	return err
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	run := r.start()
	item := run.Progress.Open[0]
	report := `[{"op":"StepRun","id":"a","data":1}]`
	require.NoError(t, r.checkpoint(item, 1, report))
	require.NoError(t, r.checkpoint(item, 0, report), "repeating it is harmless; not every SDK knows its lease")
	require.Len(t, r.loadRun(run.ID).Steps, 1)

	require.ErrorIs(t, r.checkpoint(item, 1, `[{"op":"Sleep","id":"z","name":"1h"}]`), stepwell.ErrInvalid)
	require.ErrorIs(t, r.checkpoint(item, 1, `[{`), stepwell.ErrInvalid)
	other := item
	other.Run = stepwell.NewRunID(time.Now(), r.function.ID, "other")
	require.ErrorIs(t, r.checkpoint(other, 1, report), stepwell.ErrInvalid, "an item of another run")
	unknown := stepwell.NewDiscovery(stepwell.Run{ID: other.Run}, 1, time.Now())
	require.ErrorIs(t, r.checkpoint(unknown, 1, report), stepwell.ErrNotFound)

	require.NoError(t, r.Claim(t.Context(), item.ID, 2, time.Time{}))
	require.ErrorIs(t, r.checkpoint(item, 1, report), stepwell.ErrConflict, "the call was superseded: it must stop")
	require.NoError(t, r.checkpoint(item, 2, report))
	results, err := r.Commit(t.Context(), []stepwell.Transition{{
		Run: run.ID, At: time.Now(), End: &stepwell.End{Status: stepwell.RunCancelled},
	}})
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	require.ErrorIs(t, r.checkpoint(item, 2, report), stepwell.ErrConflict, "the run has ended")
}

func TestRequestSync(t *testing.T) {
	t.Parallel()
	inBand := func(r *http.Request) bool { return r.Header.Get(sdk.HeaderSyncKind) == sdk.SyncInBand }
	tests := map[string]struct {
		app          app
		registration string
		err          error
		text         string
	}{
		"in band": {app: func(r *http.Request) (*http.Response, error) {
			a := answer(200, `{"app_id":"shop"}`)
			a.Header.Set(sdk.HeaderSyncKind, sdk.SyncInBand)
			return a, nil
		}, registration: `{"app_id":"shop"}`},
		"out of band": {app: func(*http.Request) (*http.Response, error) {
			return answer(200, `{"message":"Successfully registered"}`), nil
		}},
		"in band only when signed": {app: func(r *http.Request) (*http.Response, error) {
			if inBand(r) {
				return answer(401, `{"code":"sig_verification_failed"}`), nil
			}
			return answer(200, `{}`), nil
		}},
		"cloud mode": {app: func(*http.Request) (*http.Response, error) {
			return answer(401, `{"code":"sig_verification_failed"}`), nil
		}, err: stepwell.ErrInvalid, text: "INNGEST_DEV=1"},
		"failing app": {app: func(*http.Request) (*http.Response, error) {
			return answer(500, `{"message":"no functions"}`), nil
		}, err: stepwell.ErrInvalid, text: "the app answered 500: no functions"},
		"wrong path": {app: func(*http.Request) (*http.Response, error) {
			return answer(404, ``), nil
		}, err: stepwell.ErrInvalid, text: "Is the path right"},
		"no app": {app: func(*http.Request) (*http.Response, error) {
			a := answer(405, `<html>`)
			a.Header.Del(sdk.HeaderSDK)
			return a, nil
		}, err: stepwell.ErrInvalid, text: "not an Inngest SDK"},
		"nothing": {app: func(*http.Request) (*http.Response, error) {
			return nil, errors.New("connection refused")
		}, err: stepwell.ErrUnavailable, text: "connection refused"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, test.app, nil)
			response, err := r.service.RequestSync(t.Context(), &executorv1.RequestSyncRequest{Url: "http://app/api/inngest"})
			if test.err != nil {
				require.ErrorIs(t, err, test.err)
				require.ErrorContains(t, err, test.text)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.registration, string(response.GetRegistration()))
		})
	}
}
