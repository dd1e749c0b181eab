package eventapi

import (
	"context"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Keys say who may do what. Errors: stepwell.ErrUnauthorized, whose text is shown to the caller.
type Keys interface {
	// EventKey returns the environment into which the key may publish.
	EventKey(ctx context.Context, key string) (stepwell.EnvironmentID, error)
	// Authorization returns the environment that the header of this name opens to SDK and API calls.
	Authorization(ctx context.Context, header string) (stepwell.EnvironmentID, error)
	// TokenKeys are what the secrets of tokens are derived from, the same in every replica. The first one signs, each is
	// accepted. None: tokens are good in one process only.
	TokenKeys() [][]byte
}

// OpenKeys lets everybody into the default environment. It is for the dev server, which listens on loopback and says
// so.
type OpenKeys struct{}

// EventKey implements Keys.
func (OpenKeys) EventKey(context.Context, string) (stepwell.EnvironmentID, error) {
	return stepwell.DefaultEnvironment(), nil
}

// Authorization implements Keys.
func (OpenKeys) Authorization(context.Context, string) (stepwell.EnvironmentID, error) {
	return stepwell.DefaultEnvironment(), nil
}

// TokenKeys implements Keys.
func (OpenKeys) TokenKeys() [][]byte { return nil }
