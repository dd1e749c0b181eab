package sdk

import (
	"encoding/json"
	"net/http"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// SyncRequest asks an app what it serves.
type SyncRequest struct {
	// URL is the app's serve endpoint.
	URL string
	// SyncKind is SyncInBand to be told in the answer, if the app can, or SyncOutOfBand to be told by a registration.
	SyncKind string
	// ServerKind is KindDev or KindCloud.
	ServerKind string
}

// Header are the request's headers.
func (r SyncRequest) Header() http.Header {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "Stepwell")
	header.Set(HeaderServerKind, r.ServerKind)
	header.Set(HeaderSyncKind, r.SyncKind)
	return header
}

// Body is the request's body.
func (r SyncRequest) Body() []byte {
	body := append([]byte(`{"url":`), stepwell.EncodeJSON(r.URL)...)
	return append(body, '}')
}

// ParseSync reads an app's answer to a SyncRequest: its registration, or nothing if it registers itself. The error,
// stepwell.ErrInvalid, says what else is there, or why the app refused.
func ParseSync(response Response) (registration []byte, err error) {
	isSDK := response.Header.Get(HeaderSDK) != ""
	var said struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(response.Body, &said) // many answers are no JSON
	switch {
	case response.Status == http.StatusOK && response.Header.Get(HeaderSyncKind) == SyncInBand:
		return response.Body, nil
	case response.Status == http.StatusOK && isSDK:
		return nil, nil
	case response.Status == http.StatusUnauthorized:
		return nil, stepwell.Invalidf("the app answered 401 %s: it runs in cloud mode, or with another signing key. "+
			"With the dev server, set INNGEST_DEV=1 in the app's environment", said.Code)
	case response.Status == http.StatusNotFound:
		return nil, stepwell.Invalidf("nothing is served there (404). Is the path right, as in /api/inngest?")
	case !isSDK:
		return nil, stepwell.Invalidf("what answers there is not an Inngest SDK (HTTP %d). Is this the app's serve endpoint?",
			response.Status)
	default:
		return nil, stepwell.Invalidf("the app answered %d: %s", response.Status, said.Message)
	}
}
