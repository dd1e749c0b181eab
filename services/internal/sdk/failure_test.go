package sdk_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
)

// TestErrorsAreMadeReadableForEverySDK: an object with the texts name and message, and data, which Go cannot do without.
func TestErrorsAreMadeReadableForEverySDK(t *testing.T) {
	t.Parallel()
	const unsaid = "Function execution error"
	tests := map[string]struct{ body, want string }{
		"JS": {
			`{"name":"TypeError","message":"m","stack":"at f","__serialized":true,"cause":{"name":"C"},"code":7}`,
			`{"name":"TypeError","message":"m","stack":"at f","__serialized":true,"cause":{"name":"C"},"code":7,"data":null}`,
		},
		"Python": {
			`{"code":"unknown","message":"m","name":"ValueError","stack":"Traceback"}`,
			`{"code":"unknown","message":"m","name":"ValueError","stack":"Traceback","data":null}`,
		},
		"Go": {`{"message":"m"}`, `{"name":"Error","message":"m","data":null}`},
		"step is gone": {
			`{"error":"no step a","foundSteps":[]}`,
			`{"name":"Error","message":"no step a","error":"no step a","foundSteps":[],"data":null}`,
		},
		"with data":     {`{"name":"E","message":"m","data":{"a":1}}`, `{"name":"E","message":"m","data":{"a":1}}`},
		"no name":       {`{"message":"m","data":1}`, `{"name":"Error","message":"m","data":1}`},
		"odd name":      {`{"name":7,"message":"m","data":1}`, `{"name":"Error","message":"m","data":1}`},
		"null name":     {`{"name":null,"message":"m","data":1}`, `{"name":"Error","message":"m","data":1}`},
		"empty name":    {`{"name":"","message":"m","data":1}`, `{"name":"Error","message":"m","data":1}`},
		"no message":    {`{"name":"E","data":1}`, `{"name":"E","message":"` + unsaid + `","data":1}`},
		"odd message":   {`{"name":"E","message":{},"data":1}`, `{"name":"E","message":"` + unsaid + `","data":1}`},
		"empty message": {`{"name":"E","message":"","error":"e","data":1}`, `{"name":"E","message":"e","error":"e","data":1}`},
		"wrapped":       {`"{\"name\":\"E\",\"message\":\"m\",\"data\":null}"`, `{"name":"E","message":"m","data":null}`},
		"wrapped text":  {`"it broke"`, `{"name":"Error","message":"it broke","data":null}`},
		"wrapped twice": {`"\"it broke\""`, `{"name":"Error","message":"\"it broke\"","data":null}`},
		"text":          {" it <broke>\n", `{"name":"Error","message":"it <broke>","data":null}`},
		"broken text":   {`"it broke`, `{"name":"Error","message":"\"it broke","data":null}`},
		"list":          {`[1]`, `{"name":"Error","message":"[1]","data":null}`},
		"number":        {`7`, `{"name":"Error","message":"7","data":null}`},
		"null":          {`null`, `{"name":"Error","message":"` + unsaid + `","data":null}`},
		"nothing":       {``, `{"name":"Error","message":"` + unsaid + `","data":null}`},
		"empty text":    {`""`, `{"name":"Error","message":"` + unsaid + `","data":null}`},
		"empty object":  {`{}`, `{"name":"Error","message":"` + unsaid + `","data":null}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome := sdk.Parse(response(500, test.body), now())
			require.JSONEq(t, test.want, string(outcome.Failure))
			if test.body == "" || strings.HasPrefix(test.body, " ") || strings.HasSuffix(test.body, "broke") {
				return // an error within an operation is JSON
			}
			ops, err := sdk.ParseOps([]byte(`{"op":"StepError","id":"a","error":`+test.body+`}`), now())
			require.NoError(t, err)
			require.JSONEq(t, strings.ReplaceAll(test.want, unsaid, "Step execution error"), string(ops[0].Failure))
		})
	}
}

// TestGoodErrorIsKeptByteForByte: it is not decoded and encoded again.
func TestGoodErrorIsKeptByteForByte(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"stack": "a < b", "name": "E", "data": 1.0e400, "message": "m"}`, `{"name":"E","name":"F","data":{},"message":"m"}`,
	} {
		require.Equal(t, body, string(sdk.Parse(response(500, " "+body+"\n"), now()).Failure))
	}
}
