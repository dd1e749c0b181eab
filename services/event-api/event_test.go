package eventapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// TestEventIsTakenAsItIs: what is not said gets its default, and JSON is kept byte for byte.
func TestEventIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		now := time.Now().UTC()
		event := r.accept(`{"name":"a/b"}`)
		require.Equal(t, stepwell.Event{
			ID: event.ID, Environment: stepwell.DefaultEnvironment(), Name: "a/b", Data: json.RawMessage(`{}`),
			User: json.RawMessage(`{}`), Time: now, ReceivedAt: now,
		}, event)
		require.Equal(t, now, event.ID.Timestamp().UTC())

		r = newRig(t)
		event = r.accept(`{"id":"order-1","name":"a/b","data": { "n": 1.0 ,"n":2} ,"user":{"u":[]},"ts":946684800123,"v":"2",
			"meta":{"sessions":{"s":"1"}},"unknown":{"x":1}}`)
		require.Equal(t, stepwell.Event{
			ID: event.ID, Environment: stepwell.DefaultEnvironment(), Key: "order-1", Name: "a/b",
			Data: json.RawMessage(`{ "n": 1.0 ,"n":2}`), User: json.RawMessage(`{"u":[]}`), Version: "2",
			Meta: json.RawMessage(`{"sessions":{"s":"1"}}`), Time: now.Add(123 * time.Millisecond), ReceivedAt: now,
		}, event)
	})
}

func TestEventsOfARequestStayInTheirOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.post(`[{"name":"a"},{"name":"b"},{"name":"c","id":"mine"}]`)
	require.Equal(t, 200, a.Status)
	require.Len(t, a.IDs, 3)
	require.IsIncreasing(t, a.IDs)
	require.Len(t, r.runner.requests, 1, "all at once (I4)")
	for i, event := range r.runner.requests[0] {
		require.Equal(t, a.IDs[i], event.ID.String(), "the server's ids, never the publisher's")
		require.Equal(t, string(rune('a'+i)), event.Name)
	}
}

func TestNothingToPublishIsFine(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", " \n", "[]", " [ ] "} {
		r := newRig(t)
		require.Equal(t, answer{IDs: []string{}, Status: 200}, r.post(body))
		require.Empty(t, r.runner.requests)
	}
}

// TestContentTypeOfJSONDoesNotMatter: browsers and webhooks say all sorts of things.
func TestContentTypeOfJSONDoesNotMatter(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{
		"application/json", "", "text/plain", "application/json; charset=utf-8", "application/x-www-form-urlencoded",
		"multipart/form-data", ";",
	} {
		require.Equal(t, "a", newRig(t).accept(` {"name":"a"}`, "Content-Type", contentType).Name, contentType)
	}
}

func TestFormIsAnEvent(t *testing.T) {
	t.Parallel()
	const multipart = "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nhook\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\no-1\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n1 2\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n3\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n\r\nfile\r\n--x--\r\n"
	for contentType, body := range map[string]string{
		"application/x-www-form-urlencoded":                "name=hook&id=o-1&b=1+2&b=3",
		"application/x-www-form-urlencoded; charset=utf-8": "name=hook&id=o-1&b=1%202&b=3",
		`multipart/form-data; boundary="x"`:                multipart,
		"Multipart/Form-Data; boundary=x":                  multipart,
	} {
		event := newRig(t).accept(body, "Content-Type", contentType)
		require.Equal(t, "hook", event.Name, contentType)
		require.Equal(t, "o-1", event.Key)
		require.JSONEq(t, `{"name":["hook"],"id":["o-1"],"b":["1 2","3"]}`, string(event.Data))
	}
}

func TestFormThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	const urlencoded, multipart = "application/x-www-form-urlencoded", "multipart/form-data"
	for _, test := range []struct{ contentType, body, problem string }{
		{"", "name=hook", "the body must be a JSON object or an array of them"},
		{"application/json", "name=hook", "the body must be a JSON object or an array of them"},
		{"text/plain", "hello", "the body must be a JSON object or an array of them"},
		{"application/json", `"hello"`, "the body must be a JSON object or an array of them"},
		{"application/json", `null`, "the body must be a JSON object or an array of them"},
		{urlencoded, "name=%zz", "the form cannot be read"},
		{urlencoded, "name=a;b=1", "the form cannot be read"},
		{urlencoded, "b=1", "event name is empty"},
		{urlencoded, "name=inngest/x", "event name is reserved for internal use"},
		{urlencoded, "name=a%00b", "must not contain control characters"},
		{multipart, "--x\r\n", "the form cannot be read"},
		{multipart + "; boundary=x", "--y\r\n\r\n--y--", "the form cannot be read"},
		{
			multipart + "; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nhook",
			"the form cannot be read",
		},
	} {
		require.Contains(t, newRig(t).refuse(400, test.body, "Content-Type", test.contentType), test.problem, test.body)
	}
}

// TestSeedMakesIDsRepeatable: an SDK that tries again gets the same ids, and nothing starts twice.
func TestSeedMakesIDsRepeatable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.sync("charge", "a")
		<-time.After(1_754_000_000_123*time.Millisecond - time.Duration(time.Now().UnixMilli())*time.Millisecond)
		for range 2 {
			a := r.post(`[{"name":"a"},{"name":"a"}]`, sdk.HeaderEventIDSeed, "1754000000123,AAAAAAAAAAAAAA==")
			require.Equal(t, []string{"01K1H8R13V0000000000000001", "01K1H8R13V0000000000000002"}, a.IDs)
			<-time.After(time.Second)
		}
		require.Len(t, r.runs(), 2)
		other := r.post(`{"name":"a"}`, sdk.HeaderEventIDSeed, "1754000000123,AAAAAAAAAAAAAQ==")
		require.Equal(t, []string{"01K1H8R13V0000000000000002"}, other.IDs)
	})
}

// TestSeedThatIsNoneIsIgnored: also one whose time is not ours, since ids sort by it.
func TestSeedThatIsNoneIsIgnored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		seed := func(at time.Time) string { return fmt.Sprintf("%d,AAAAAAAAAAAAAA==", at.UnixMilli()) }
		for text, used := range map[string]bool{
			seed(now):                               true,
			seed(now.Add(-24 * time.Hour)):          true,
			seed(now.Add(24 * time.Hour)):           true,
			seed(now.Add(-24*time.Hour - 1e6)):      false,
			seed(now.Add(24*time.Hour + 1e6)):       false,
			"":                                      false,
			"nonsense":                              false,
			fmt.Sprint(now.UnixMilli()):             false,
			fmt.Sprintf("%d,", now.UnixMilli()):     false,
			fmt.Sprintf("%d,AAAA", now.UnixMilli()): false,
			fmt.Sprintf("%d,!AAAAAAAAAAAAA==", now.UnixMilli()):   false,
			fmt.Sprintf("%d,AAAAAAAAAAAAAAAA", now.UnixMilli()):   false,
			fmt.Sprintf("-%d,AAAAAAAAAAAAAA==", now.UnixMilli()):  false,
			"99999999999999999999,AAAAAAAAAAAAAA==":               false,
			fmt.Sprintf("%d,AAAAAAAAAAAAAA==", ulid.MaxTime()+1):  false,
			fmt.Sprintf("%d.5,AAAAAAAAAAAAAA==", now.UnixMilli()): false,
			fmt.Sprintf("%d,AAAAAAAAAAAAAA==,1", now.UnixMilli()): false,
		} {
			a := newRig(t).post(`{"name":"a"}`, sdk.HeaderEventIDSeed, text)
			require.Equal(t, 200, a.Status, text)
			require.Equal(t, used, strings.HasSuffix(a.IDs[0], "0000000000000001"), text)
			if !used {
				id, err := stepwell.ParseEventID(a.IDs[0])
				require.NoError(t, err)
				require.Equal(t, now.UnixMilli(), id.Timestamp().UnixMilli(), "it is of the time of receipt")
			}
		}
	})
}

func TestBrowsersOfAnyOriginMayPublish(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, keys{})
	preflight := r.do(http.MethodOptions, "/e/good%2Fkey", "",
		"Origin", "https://shop.example", "Access-Control-Request-Method", "POST")
	require.Equal(t, http.StatusNoContent, preflight.Code)
	for name, value := range map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST, OPTIONS",
		"Access-Control-Allow-Headers": "*", "Access-Control-Max-Age": "86400",
	} {
		require.Equal(t, value, preflight.Header().Get(name))
	}
	require.Empty(t, preflight.Body.String())
	refused := r.do(http.MethodPost, "/e/wrong", `{"name":"a"}`)
	require.Equal(t, http.StatusUnauthorized, refused.Code)
	require.Equal(t, "*", refused.Header().Get("Access-Control-Allow-Origin"), "a page may read why")
}

func TestKeyDecidesTheEnvironment(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, keys{})
	require.Equal(t, 200, r.do(http.MethodPost, "/e/good%2Fkey", `{"name":"a"}`).Code)
	require.Equal(t, otherEnvironment(), r.took().Environment)

	r = newRigWith(t, keys{})
	refused := r.do(http.MethodPost, "/e/wrong", `{"name":"a"}`)
	require.Equal(t, 401, refused.Code)
	require.JSONEq(t, `{"ids":[],"status":401,"error":"Event key not found"}`, refused.Body.String())
	require.Empty(t, r.runner.requests)
}

func TestAPIEventsTakeTheAPIsAuthorization(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, keys{})
	requireFailure(t, r.do(http.MethodPost, "/api/v1/events", `{"name":"a"}`), 401, "Authentication failed")
	require.Empty(t, r.runner.requests)
	taken := r.do(http.MethodPost, "/api/v1/events", `{"name":"a"}`, "Authorization", "Bearer "+goodKey)
	require.Equal(t, 200, taken.Code)
	event := r.took()
	require.Equal(t, otherEnvironment(), event.Environment)
	require.JSONEq(t, `{"ids":["`+event.ID.String()+`"],"status":200}`, taken.Body.String())

	refused := r.do(http.MethodPost, "/api/v1/events", `{}`, "Authorization", "Bearer "+goodKey)
	require.Equal(t, 400, refused.Code)
	require.JSONEq(t, `{"ids":[],"status":400,"error":"event name is empty"}`, refused.Body.String())
}

func TestI2_EventsAreTakenWithoutARunner(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]error{
		"not there": fmt.Errorf("dial 10.0.0.7: %w", stepwell.ErrUnavailable), "does not answer": context.DeadlineExceeded,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.runner.fail = fail
			taken := r.do(http.MethodPost, "/e/key", `[{"name":"a","id":"mine"},{"name":"b"}]`)
			require.Equal(t, 200, taken.Code, taken.Body.String())
			unrouted, err := r.UnroutedEvents(t.Context(), 10)
			require.NoError(t, err)
			require.Len(t, unrouted, 2)
			require.Equal(t, r.runner.requests[0], unrouted)
			require.Contains(t, taken.Body.String(), unrouted[0].ID.String())
		})
	}
}

// TestFullFunctionIsToldToPublishers: nothing is stored, also not to be routed later.
func TestFullFunctionIsToldToPublishers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.runner.fail = stepwell.Fullf(`3 items of the function "shop-charge" wait`)
	for _, path := range []string{"/e/key", "/api/v1/events"} {
		recorder := r.do(http.MethodPost, path, `{"name":"a"}`)
		require.Equal(t, 429, recorder.Code)
		require.Equal(t, "5", recorder.Header().Get("Retry-After"))
		require.JSONEq(t, `{"ids":[],"status":429,"error":"publish events: 3 items of the function \"shop-charge\" wait"}`,
			recorder.Body.String())
	}
	unrouted, err := r.UnroutedEvents(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, unrouted)
}

// TestNobodyTakesEvents: the publisher is told to try again, and not what goes on inside.
func TestNobodyTakesEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.runner.fail = fmt.Errorf("dial 10.0.0.7: %w", stepwell.ErrUnavailable)
	r.state.fail = stepwell.ErrUnavailable
	for _, path := range []string{"/e/key", "/api/v1/events"} {
		recorder := r.do(http.MethodPost, path, `{"name":"a"}`)
		require.Equal(t, 503, recorder.Code)
		require.Equal(t, "1", recorder.Header().Get("Retry-After"))
		require.JSONEq(t, `{"ids":[],"status":503,"error":"temporarily unavailable, try again"}`, recorder.Body.String())
	}
	require.Contains(t, r.log.String(), "dial 10.0.0.7")
	require.Contains(t, r.log.String(), "status=503")
	require.Contains(t, r.log.String(), "route=/e/{key}")
	require.NotContains(t, r.log.String(), "/e/key", "the path holds the key, which nobody may see (I27)")

	r.runner.fail = errors.New("secret")
	recorder := r.do(http.MethodPost, "/e/key", `{"name":"a"}`)
	require.Equal(t, 500, recorder.Code)
	require.Empty(t, recorder.Header().Get("Retry-After"))
	require.JSONEq(t, `{"ids":[],"status":500,"error":"internal error: the server's log says more"}`, recorder.Body.String())
	require.Contains(t, r.log.String(), "secret")
}
