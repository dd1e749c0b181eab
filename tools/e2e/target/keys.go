package target

import (
	"crypto/rand"
	"encoding/hex"
)

// keys are those of one server, as `openssl rand -hex 32` makes them. No two servers have the same, so an app that reaches
// a server that is not its own is refused.
type keys struct{ event, signing string }

func newKeys() keys { return keys{event: newKey(), signing: "signkey-prod-" + newKey()} }

func newKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return hex.EncodeToString(key)
}

// eventEnv and signingEnv tell a program of the server its keys.
func (k keys) eventEnv() []string { return []string{"STEPWELL_EVENT_KEY=" + k.event} }

func (k keys) signingEnv() []string { return []string{"STEPWELL_SIGNING_KEY=" + k.signing} }

// appEnv has an app run as it does in production. An empty INNGEST_DEV is one that is not set: the Go SDK takes any other
// for yes. Version 3 of the JavaScript SDK is in development unless NODE_ENV says otherwise.
func (k keys) appEnv() []string {
	return []string{
		"INNGEST_DEV=", "NODE_ENV=production", "INNGEST_EVENT_KEY=" + k.event, "INNGEST_SIGNING_KEY=" + k.signing,
	}
}
