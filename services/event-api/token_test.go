package eventapi

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// TestI27_TokensOpenOneRunForATime: not those of another install, another run, another purpose, or from long ago.
func TestI27_TokensOpenOneRunForATime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	environment := stepwell.DefaultEnvironment()
	run := stepwell.NewRunID(now, stepwell.FunctionID{}, "one")
	mine, err := newTokens([][]byte{[]byte("new key"), []byte("old key")})
	require.NoError(t, err)
	output, realtime, err := mine.issue(environment, run, now)
	require.NoError(t, err)
	opened, err := mine.verify(output, run, now.Add(outputTokenLife-time.Second))
	require.NoError(t, err)
	require.Equal(t, environment, opened)

	before, err := newTokens([][]byte{[]byte("old key")})
	require.NoError(t, err)
	old, _, err := before.issue(environment, run, now)
	require.NoError(t, err)
	_, err = mine.verify(old, run, now)
	require.NoError(t, err, "keys are rotated with overlap")

	other, err := newTokens(nil)
	require.NoError(t, err)
	foreign, _, err := other.issue(environment, run, now)
	require.NoError(t, err)
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, runClaims{
		RegisteredClaims: jwt.RegisteredClaims{Issuer: outputIssuer, ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour))},
		Environment:      environment, Run: run,
	}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	for name, token := range map[string]string{
		"none": "", "no token": "x.y.z", "realtime": realtime, "another install": foreign, "unsigned": unsigned,
		"changed": output[:len(output)-2] + "xx",
	} {
		_, err := mine.verify(token, run, now)
		require.ErrorIs(t, err, stepwell.ErrUnauthorized, name)
	}
	_, err = mine.verify(output, run, now.Add(outputTokenLife+time.Second))
	require.ErrorContains(t, err, "expired")
	_, err = mine.verify(output, stepwell.NewRunID(now, stepwell.FunctionID{}, "two"), now)
	require.ErrorIs(t, err, stepwell.ErrUnauthorized)
}
