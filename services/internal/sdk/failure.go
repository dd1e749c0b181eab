package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// The messages of failures that say nothing themselves.
const (
	functionFailure = "Function execution error"
	stepFailure     = "Step execution error"
)

// normalizeFailure makes an error body of any SDK one that every SDK can read: an object with the strings `name` and
// `message`. Bytes that are good already are kept. fallback is the message of an error that has none.
func normalizeFailure(body []byte, fallback string) json.RawMessage {
	body = unwrapString(bytes.TrimSpace(body))
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil || members == nil {
		message := string(body)
		if message == "" || message == "null" {
			message = fallback
		}
		return stepwell.Failure{Name: "Error", Message: message}.JSON()
	}
	name, hasName := textOf(members["name"])
	message, hasMessage := textOf(members["message"])
	_, hasData := members["data"]
	if hasName && hasMessage && hasData {
		return body
	}
	if !hasName {
		name = "Error"
	}
	if !hasMessage {
		message, hasMessage = textOf(members["error"])
	}
	if !hasMessage {
		message = fallback
	}
	if !hasData {
		// The Go SDK cannot read an error without it.
		members["data"] = json.RawMessage("null")
	}
	members["name"], members["message"] = stepwell.EncodeJSON(name), stepwell.EncodeJSON(message)
	normalized, err := json.Marshal(members)
	if err != nil {
		return stepwell.Failure{Name: name, Message: message}.JSON()
	}
	return normalized
}

// unwrapString unwraps a JSON string that holds JSON, once, or that holds text.
func unwrapString(body []byte) []byte {
	if len(body) == 0 || body[0] != '"' {
		return body
	}
	var text string
	if json.Unmarshal(body, &text) != nil {
		return body
	}
	return []byte(text)
}

// textOf is the value of a non-empty JSON string.
func textOf(raw json.RawMessage) (string, bool) {
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) != nil || text == "" {
		return "", false
	}
	return text, true
}

// failure is an outcome that the server words itself.
func failure(status int, name, format string, args ...any) stepwell.Outcome {
	return stepwell.Outcome{
		HTTPStatus: status,
		Failure:    stepwell.Failure{Name: name, Message: fmt.Sprintf(format, args...)}.JSON(),
	}
}
