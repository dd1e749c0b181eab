package eventapi

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// How long tokens are good for, from when an app is given one for its client.
const (
	outputTokenLife   = time.Hour
	realtimeTokenLife = 16 * time.Minute
)

// The issuers by which tokens for one purpose are told from those for another.
const (
	outputIssuer   = "api.inngest.com"
	realtimeIssuer = "rt.inngest.com"
)

// tokenSecretBytes is the length of the secrets that tokens are signed with.
const tokenSecretBytes = 32

// tokens are what apps give to their clients, who have no keys, to ask for the output of one run.
type tokens struct {
	// secrets are derived from keys, as those are in use: the first one signs, each is accepted.
	secrets [][]byte
}

// newTokens derives the secrets of tokens. Without keys, they are good for this process only.
func newTokens(keys [][]byte) (tokens, error) {
	if len(keys) == 0 {
		secret := make([]byte, tokenSecretBytes)
		_, _ = rand.Read(secret) // it never fails
		return tokens{secrets: [][]byte{secret}}, nil
	}
	var t tokens
	for _, key := range keys {
		secret, err := hkdf.Key(sha256.New, key, nil, "stepwell run tokens", tokenSecretBytes)
		if err != nil {
			return tokens{}, fmt.Errorf("derive the secret of tokens: %w", err)
		}
		t.secrets = append(t.secrets, secret)
	}
	return t, nil
}

// runClaims are what a token says.
type runClaims struct {
	jwt.RegisteredClaims

	Environment stepwell.EnvironmentID `json:"env"`
	Run         stepwell.RunID         `json:"run_id"`
	Topics      []topic                `json:"topics,omitempty"`
}

// topic is what a realtime token lets its holder listen to.
type topic struct {
	Channel string `json:"channel"`
	Name    string `json:"name"`
}

// issue makes the tokens of a run.
func (t tokens) issue(
	environment stepwell.EnvironmentID, run stepwell.RunID, now time.Time,
) (output, realtime string, err error) {
	claims := runClaims{Environment: environment, Run: run}
	if output, err = t.sign(claims, outputIssuer, now, outputTokenLife); err != nil {
		return "", "", err
	}
	claims.Topics = []topic{{Channel: run.String(), Name: "$stream"}}
	realtime, err = t.sign(claims, realtimeIssuer, now, realtimeTokenLife)
	return output, realtime, err
}

func (t tokens) sign(claims runClaims, issuer string, now time.Time, life time.Duration) (string, error) {
	claims.Issuer, claims.IssuedAt = issuer, jwt.NewNumericDate(now)
	claims.ExpiresAt = jwt.NewNumericDate(now.Add(life))
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(t.secrets[0])
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}

// verify returns the environment whose run the token opens. Errors: stepwell.ErrUnauthorized.
func (t tokens) verify(token string, run stepwell.RunID, now time.Time) (stepwell.EnvironmentID, error) {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(outputIssuer),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return now }))
	keys := jwt.VerificationKeySet{}
	for _, secret := range t.secrets {
		keys.Keys = append(keys.Keys, secret)
	}
	var claims runClaims
	_, err := parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return keys, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return stepwell.EnvironmentID{}, stepwell.Unauthorizedf("Authentication failed: the token has expired")
	case err != nil || claims.Run != run:
		return stepwell.EnvironmentID{}, stepwell.Unauthorizedf("Authentication failed: the token is not one of this run")
	}
	return claims.Environment, nil
}
