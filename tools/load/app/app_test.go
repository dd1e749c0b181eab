package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const testKey = "signkey-test-0123456789abcdef0123456789abcdef"

// started is an app at a server that answers as told.
func started(t *testing.T, config Config, handler http.HandlerFunc) *App {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	config.Name, config.Server, config.Listen, config.EventKey = "load", server.URL, "127.0.0.1:0", "key"
	a, err := Start(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(a.Close)
	return a
}

// callApp calls the app as a server does.
func callApp(t *testing.T, a *App, batch *Batch, memo string, header map[string]string) (status int, ops []op) {
	t.Helper()
	event, err := json.Marshal(batch.Event(0, time.Now()))
	require.NoError(t, err)
	body := `{"ctx":{"run_id":"R","fn_id":"F","qi_id":"Q","attempt":0},"event":` + string(event) + `,"steps":` + memo + `}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.config.URL, strings.NewReader(body))
	require.NoError(t, err)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	if response.StatusCode == http.StatusPartialContent {
		require.NoError(t, json.Unmarshal(text, &ops))
	}
	return response.StatusCode, ops
}

func TestBearerIsTheHashOfTheKey(t *testing.T) {
	t.Parallel()
	secret, err := hex.DecodeString("0123456789abcdef0123456789abcdef")
	require.NoError(t, err)
	sum := sha256.Sum256(secret)
	a := started(t, Config{SigningKey: testKey}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer signkey-test-"+hex.EncodeToString(sum[:]) {
			http.Error(w, "wrong key", http.StatusUnauthorized)
		}
	})
	require.NoError(t, a.Publish(t.Context(), []Event{Nothing(0)}))
}

func TestSignaturesAreChecked(t *testing.T) {
	t.Parallel()
	now := time.Now()
	body := []byte(`{"a":1}`)
	signed := func(at time.Time) string {
		seconds := strconv.FormatInt(at.Unix(), 10)
		code := hmac.New(sha256.New, []byte("0123456789abcdef0123456789abcdef"))
		code.Write(append(body, seconds...))
		return "t=" + seconds + "&s=" + hex.EncodeToString(code.Sum(nil))
	}
	require.NoError(t, verify(testKey, signed(now), body, now))
	require.NoError(t, verify(testKey, signed(now), []byte(` { "a" : 1 } `), now))
	require.ErrorContains(t, verify(testKey, signed(now), []byte(`{"a":2}`), now), "not of this call and key")
	require.ErrorContains(t, verify(testKey, signed(now.Add(-time.Hour)), body, now), "is off by")
	require.ErrorContains(t, verify(testKey, "", body, now), "has no time")

	a := started(t, Config{SigningKey: testKey, Verify: true}, func(http.ResponseWriter, *http.Request) {})
	batch := a.Expect(Plan{}, 1)
	status, _ := callApp(t, a, batch, "{}", map[string]string{"X-Inngest-Signature": signed(now)})
	require.Equal(t, http.StatusUnauthorized, status)
	require.ErrorContains(t, batch.Wait(t.Context(), Ended, time.Millisecond), "a call was refused: the signature is not")
}

func TestPlainRunAnswersOneStepACall(t *testing.T) {
	t.Parallel()
	a := started(t, Config{}, func(http.ResponseWriter, *http.Request) {})
	batch := a.Expect(Plan{Steps: 1}, 1)
	status, ops := callApp(t, a, batch, "{}", nil)
	require.Equal(t, http.StatusPartialContent, status)
	require.Equal(t, "StepRun", ops[0].Op)
	status, _ = callApp(t, a, batch, `{"a":{"data":1}}`, nil)
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, batch.Wait(t.Context(), Ended, time.Second))
	require.Len(t, batch.Runs()[0].Gaps, 1)
}

func TestCheckpointsCarryTheSteps(t *testing.T) {
	t.Parallel()
	var checkpoints atomic.Int64
	a := started(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/checkpoint/R/async" {
			var report struct {
				QueueItem string `json:"qi_id"`
				Steps     []op   `json:"steps"`
			}
			if json.NewDecoder(r.Body).Decode(&report) != nil || report.QueueItem != "Q" || len(report.Steps) != 1 {
				http.Error(w, "not a checkpoint", http.StatusConflict)
			}
			checkpoints.Add(1)
		}
	})
	batch := a.Expect(Plan{Steps: 3, Checkpoint: true}, 1)
	status, ops := callApp(t, a, batch, "{}", nil)
	require.Equal(t, http.StatusPartialContent, status)
	require.Equal(t, "RunComplete", ops[0].Op)
	require.EqualValues(t, 3, checkpoints.Load())
	require.Len(t, batch.Runs()[0].Gaps, 3)
}

func TestStepIsAnsweredIfItsCheckpointIsRefused(t *testing.T) {
	t.Parallel()
	a := started(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/checkpoint/") {
			http.Error(w, "another has it", http.StatusConflict)
		}
	})
	batch := a.Expect(Plan{Steps: 3, Checkpoint: true}, 1)
	_, ops := callApp(t, a, batch, "{}", nil)
	require.Len(t, ops, 1)
	require.Equal(t, "StepRun", ops[0].Op)
	err := batch.Wait(t.Context(), Ended, time.Millisecond)
	require.ErrorContains(t, err, "1 of 1 runs did not end")
	require.ErrorContains(t, err, "another has it")
}

func TestSleepsEndTogether(t *testing.T) {
	t.Parallel()
	a := started(t, Config{}, func(http.ResponseWriter, *http.Request) {})
	batch := a.Expect(Plan{Sleeps: 2, SleepFor: time.Second}, 1)
	_, ops := callApp(t, a, batch, "{}", nil)
	require.Len(t, ops, 2)
	require.Equal(t, "1000ms", ops[0].Name)
	require.NoError(t, batch.Wait(t.Context(), Asleep, time.Second))
	_, ops = callApp(t, a, batch, `{"a":null}`, nil)
	require.Empty(t, ops)
	status, _ := callApp(t, a, batch, `{"a":null,"b":null}`, nil)
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, batch.Wait(t.Context(), Ended, time.Second))
}

func TestBusyServerIsAskedAgainWithTheSameSeed(t *testing.T) {
	t.Parallel()
	seeds := make(chan string, triesMax)
	a := started(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/e/key" {
			return
		}
		seeds <- r.Header.Get("X-Inngest-Event-Id-Seed")
		if len(seeds) == 1 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
	})
	require.NoError(t, a.Publish(context.Background(), []Event{Nothing(0)}))
	require.Equal(t, 1, a.Retries())
	first := <-seeds
	require.NotEmpty(t, first)
	require.Equal(t, first, <-seeds)
}
