package cli_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
)

// TestFirstOfSeveralSigningKeysIsShown: while keys are rotated there are several, and a command has the server's list.
func TestFirstOfSeveralSigningKeysIsShown(t *testing.T) {
	t.Parallel()
	hash, err := sdk.HashSigningKey(signingKey)
	require.NoError(t, err)
	for _, keys := range []string{signingKey, signingKey + "\nabcd\n", " " + signingKey + ",abcd"} {
		shown := make(chan string, 1)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			shown <- r.Header.Get("Authorization")
			_, _ = w.Write([]byte(`{"data":[]}`))
		}))
		_, err := stepwellIn(t, map[string]string{"STEPWELL_SERVER": server.URL, "STEPWELL_SIGNING_KEY": keys}, "functions")
		server.Close()
		require.NoError(t, err)
		require.Equal(t, "Bearer "+hash, <-shown)
	}
}
