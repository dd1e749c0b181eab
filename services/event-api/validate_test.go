package eventapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestEventThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 513)
	for body, problem := range map[string]string{
		`{}`:                               "event name is empty",
		`{"name":null}`:                    "event name is empty",
		`{"name":""}`:                      "event name is empty",
		`{"name":5}`:                       "the event cannot be read: json: cannot unmarshal number",
		`{"name":"a"`:                      "the event cannot be read: unexpected end of JSON input",
		`{"name":"a"} x`:                   "the event cannot be read: invalid character 'x'",
		`{"name":"a"}{"name":"b"}`:         "the event cannot be read: invalid character '{'",
		`[{"name":"a"}`:                    "the body is not valid JSON: unexpected end of JSON input",
		`[[]]`:                             "the event cannot be read: json: cannot unmarshal array",
		`["a"]`:                            "the event cannot be read: json: cannot unmarshal string",
		`[null]`:                           "event name is empty",
		`{"name":"` + long + `"}`:          "event name is longer than 512 bytes",
		`{"name":"a\u0000b"}`:              "event name, id and v must not contain control characters",
		`{"name":"a\nb"}`:                  "must not contain control characters",
		`{"name":"a\u007fb"}`:              "must not contain control characters",
		`{"name":"a\u0085b"}`:              "must not contain control characters",
		`{"name":"a","id":"\u0000"}`:       "must not contain control characters",
		`{"name":"a","v":"\t"}`:            "must not contain control characters",
		`{"name":"a","id":7}`:              "the event cannot be read: json: cannot unmarshal number",
		`{"name":"a","id":"` + long + `"}`: "event id is longer than 512 bytes",
		`{"name":"inngest/x"}`:             "event name is reserved for internal use: inngest/x",
		`{"name":"Inngest/X"}`:             "event name is reserved for internal use: Inngest/X",
		`{"name":"\u0069nngest/x"}`:        "event name is reserved for internal use: inngest/x",
		`{"name":"a","data":[]}`:           "event data must be a JSON object in UTF-8",
		`{"name":"a","data":"{}"}`:         "event data must be a JSON object in UTF-8",
		`{"name":"a","data":7}`:            "event data must be a JSON object in UTF-8",
		`{"name":"a","user":true}`:         "event user must be a JSON object in UTF-8",
		`{"name":"a","meta":[]}`:           "event meta must be a JSON object in UTF-8",
		`{"name":"a","data":{]}`:           "the event cannot be read: invalid character ']'",
		"{\"name\":\"a\xff\"}":             "the body is not valid UTF-8",
		"{\"name\":\"a\",\"data\":{\"x\":\"\xc3\x28\"}}": "the body is not valid UTF-8",
	} {
		require.Contains(t, newRig(t).refuse(400, body), problem, body)
	}
}

func TestBoundsThemselvesAreFine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 256)
	event := newRig(t).accept(`{"name":"` + long + `","id":"` + long + `"}`)
	require.Equal(t, long, event.Name)
	require.Equal(t, long, event.Key)
	for _, name := range []string{"inngest", "inngest.x", "my/inngest/x", " inngest/x", "ïnngest/x", "a b", `"`, "😀"} {
		quoted, err := json.Marshal(name)
		require.NoError(t, err)
		require.Equal(t, name, newRig(t).accept(`{"name":`+string(quoted)+`}`).Name)
	}
}

func TestAbsentObjectsAreEmptyOnes(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"name":"a"}`, `{"name":"a","data":null,"user":null,"meta":null}`,
		`{"name":"a","data":{},"user":{},"id":"","v":"","ts":0}`,
	} {
		event := newRig(t).accept(body)
		require.JSONEq(t, `{}`, string(event.Data))
		require.JSONEq(t, `{}`, string(event.User))
		require.Empty(t, event.Meta)
	}
}

func TestTimesOfEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for ts, want := range map[string]time.Time{
			"315532800000":      time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC),
			"4102444799999":     time.Date(2099, 12, 31, 23, 59, 59, 999e6, time.UTC),
			"1754000000123":     time.UnixMilli(1754000000123),
			"1754000000123.0":   time.UnixMilli(1754000000123),
			"1.754000000123e12": time.UnixMilli(1754000000123),
			"0":                 now,
			"-0":                now,
			"0.0":               now,
			"null":              now,
		} {
			event := newRig(t).accept(`{"name":"a","ts":` + ts + `}`)
			require.Equal(t, want.UTC(), event.Time, ts)
			require.Equal(t, now.UTC(), event.ReceivedAt)
		}
		for ts, problem := range map[string]string{
			"315532799999":        `the event "a" has the ts 315532799999: it must be milliseconds between 1980 and 2100`,
			"4102444800000":       `the event "a" has the ts 4102444800000: it must be milliseconds between 1980 and 2100`,
			"1":                   "between 1980 and 2100",
			"-1":                  "between 1980 and 2100",
			"-62135596800000":     "between 1980 and 2100",
			"1754000000":          "between 1980 and 2100",
			"1754000000123000":    "it must be whole milliseconds between 1980 and 2100",
			"1e300":               "it must be whole milliseconds between 1980 and 2100",
			"-1e300":              "it must be whole milliseconds between 1980 and 2100",
			"9223372036854775807": "it must be whole milliseconds between 1980 and 2100",
			"1754000000123.5":     `has the ts 1.7540000001235e+12: it must be whole milliseconds`,
			"0.5":                 "it must be whole milliseconds",
			"1e400":               "the event cannot be read: json: cannot unmarshal number 1e400",
			`"1754000000123"`:     "the event cannot be read: json: cannot unmarshal string",
			`"2026-01-02"`:        "the event cannot be read: json: cannot unmarshal string",
			`true`:                "the event cannot be read",
		} {
			require.Contains(t, newRig(t).refuse(400, `{"name":"a","ts":`+ts+`}`), problem, ts)
		}
	})
}

// TestServersOwnMemberIsDropped: however its name is written, and nothing else with it.
func TestServersOwnMemberIsDropped(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"_inngest":{"fn_id":"x"}}`:                               `{}`,
		`{"a":1,"_inngest":1}`:                                     `{"a":1}`,
		`{"\u005finngest":1,"a":1}`:                                `{"a":1}`,
		`{"_\u0069\u006E\u006egest":1,"a":1}`:                      `{"a":1}`,
		`{"_inngest":1,"\u005Finngest":2,"a":1}`:                   `{"a":1}`,
		`{"_inngest":1,"big":12345678901234567890.10,"e":1.0e400}`: `{"big":12345678901234567890.10,"e":1.0e400}`,
		`{ "_inngest" : 1 }`:                                       `{}`,
	} {
		require.Equal(t, want, string(newRig(t).accept(`{"name":"a","data":`+data+`}`).Data), data)
	}
	for _, data := range []string{
		`{"x":{"_inngest":1}}`, `{"x": "_inngest"}`, `{"_inngestx":1}`, `{"x":"\u005finngest"}`, `{"\\u005finngest":1}`,
		`{"":1,"\u0000":2}`,
	} {
		require.Equal(t, data, string(newRig(t).accept(`{"name":"a","data":`+data+`}`).Data), "kept byte for byte")
	}
}

// TestDataIsKeptByteForByte: numbers that no type holds, members that are there twice, escapes, spaces.
func TestDataIsKeptByteForByte(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{"n":123456789012345678901234567890.1234567890e+400}`, `{"a":1,"a":2,"a":{}}`, `{"s":"\u00e9\ud83d\ude00<>&\/"}`,
		`{"lone":"\ud800"}`, "{\n\t\"a\" : [ 1 , 2.50 ]\n}", `{"":"\u0000"}`, `{"é":"😀"}`, `{"-0":-0.0}`,
	} {
		event := newRig(t).accept(`{"name":"a","data":` + data + `,"user":` + data + `,"meta":` + data + `}`)
		require.Equal(t, data, string(event.Data))
		require.Equal(t, data, string(event.User))
		require.Equal(t, data, string(event.Meta))
	}
}

// TestDeepJSONIsRefused: quickly, and without harm.
func TestDeepJSONIsRefused(t *testing.T) {
	t.Parallel()
	const depth = 100_000
	deep := strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth)
	lists := `{"name":"a","data":{"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}}`
	for _, body := range []string{
		`{"name":"a","data":` + deep + `}`, lists, "[" + lists + "]", strings.Repeat("[", depth),
		strings.Repeat(`{"a":`, depth),
	} {
		require.Contains(t, newRig(t).refuse(400, body), "exceeded max depth")
	}
	shallow := strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000)
	require.Equal(t, shallow, string(newRig(t).accept(`{"name":"a","data":`+shallow+`}`).Data))
}

// TestLimitsAreNamed: what goes beyond one is refused whole.
func TestLimitsAreNamed(t *testing.T) {
	t.Parallel()
	filled := func(size int) string { return `{"x":"` + strings.Repeat("x", size-len(`{"x":""}`)) + `"}` }
	fits := newRig(t).accept(`{"name":"a","data":` + filled(stepwell.EventBytesMax-2) + `,"user":{}}`)
	require.Len(t, fits.Data, stepwell.EventBytesMax-2)
	for _, body := range []string{
		`{"name":"a","data":` + filled(stepwell.EventBytesMax+1) + `}`,
		`{"name":"a","data":` + filled(stepwell.EventBytesMax-1) + `,"user":{}}`,
		`{"name":"a","meta":` + filled(stepwell.EventBytesMax+1) + `}`,
	} {
		require.Regexp(t, `^the event "a" has 31457\d\d bytes, at most 3145728 are allowed$`, newRig(t).refuse(413, body))
	}
	event := `{"name":"a"},`
	require.Equal(t, "5001 events in one request, at most 5000 are allowed",
		newRig(t).refuse(413, "["+strings.Repeat(event, stepwell.EventsPerRequestMax)+`{"name":"a"}]`))
	require.Len(t, newRig(t).post("["+strings.Repeat(event, stepwell.EventsPerRequestMax-1)+`{"name":"a"}]`).IDs, 5000)
	const bodyMax = 32 << 20
	require.Equal(t, "the request's body is larger than 33554432 bytes",
		newRig(t).refuse(413, strings.Repeat(" ", bodyMax+1)))
	require.Equal(t, 200, newRig(t).post(strings.Repeat(" ", bodyMax)).Status)
}

// TestRequestIsAllOrNothing (I4): the error says which event is wrong.
func TestRequestIsAllOrNothing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		wrong, problem string
		status         int
	}{
		{`{"name":""}`, "event name is empty", 400},
		{`{"name":"a","ts":1}`, `the event "a" has the ts 1`, 400},
		{`{"name":"a","data":7}`, "event data must be", 400},
		{`7`, "the event cannot be read", 400},
		{
			`{"name":"a","data":{"x":"` + strings.Repeat("x", stepwell.EventBytesMax) + `"}}`,
			`the event "a" has 3145736 bytes`, 413,
		},
	} {
		for at, body := range []string{"[%s,{\"name\":\"a\"}]", "[{\"name\":\"a\"},%s]"} {
			problem := newRig(t).refuse(test.status, fmt.Sprintf(body, test.wrong))
			require.True(t, strings.HasPrefix(problem, fmt.Sprintf("event %d: %s", at, test.problem)), problem)
		}
	}
}
