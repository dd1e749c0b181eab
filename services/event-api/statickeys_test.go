package eventapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	eventapi "github.com/stepwell/stepwell/services/event-api"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

const (
	firstEvent    = "0000000000000000000000000000000e"
	secondEvent   = "an event key of any kind"
	firstSigning  = "signkey-prod-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	secondSigning = "abcdefabcdefabcdefabcdefabcdefab"
)

// hashOf is the hash of a signing key without its prefix, as the SDKs compute it.
func hashOf(t *testing.T, digits string) string {
	t.Helper()
	decoded, err := hex.DecodeString(digits)
	require.NoError(t, err)
	sum := sha256.Sum256(decoded)
	return hex.EncodeToString(sum[:])
}

func staticKeys(t *testing.T) *eventapi.StaticKeys {
	t.Helper()
	keys, err := eventapi.NewStaticKeys([]string{firstEvent, strings.ReplaceAll(secondEvent, " ", "/")},
		[]string{firstSigning, secondSigning})
	require.NoError(t, err)
	return keys
}

func TestEventKeys(t *testing.T) {
	t.Parallel()
	keys := staticKeys(t)
	for _, key := range []string{firstEvent, strings.ReplaceAll(secondEvent, " ", "/")} {
		environment, err := keys.EventKey(context.Background(), key)
		require.NoError(t, err)
		require.Equal(t, stepwell.DefaultEnvironment(), environment)
	}
	for _, key := range []string{
		"", "NO_EVENT_KEY_SET", firstEvent[1:], firstEvent + "0", strings.ToUpper(firstEvent), firstSigning, secondSigning,
		hashOf(t, firstEvent), "undefined",
	} {
		environment, err := keys.EventKey(context.Background(), key)
		require.ErrorIs(t, err, stepwell.ErrUnauthorized, key)
		require.ErrorContains(t, err, "Event key not found")
		require.Equal(t, stepwell.EnvironmentID{}, environment)
		requireNoKey(t, err)
	}
}

// TestEveryFormOfAuthorizationIsTaken: those of the JS, Go and Python SDKs, with both keys of a rotation.
func TestEveryFormOfAuthorizationIsTaken(t *testing.T) {
	t.Parallel()
	keys := staticKeys(t)
	for _, header := range []string{
		"Bearer signkey-prod-" + hashOf(t, firstSigning[13:]), // JS; Go for registrations
		"Bearer " + hashOf(t, firstSigning[13:]),              // Python
		"Bearer " + firstSigning,                              // Go for checkpoints
		"Bearer " + hashOf(t, secondSigning),
		"Bearer " + secondSigning,
		// An app may have the key with another prefix than the server, or without.
		"Bearer " + firstSigning[13:],
		"Bearer signkey-test-" + hashOf(t, secondSigning),
		"bearer  " + secondSigning + " ",
	} {
		environment, err := keys.Authorization(context.Background(), header)
		require.NoError(t, err, header)
		require.Equal(t, stepwell.DefaultEnvironment(), environment)
	}
	for _, header := range []string{
		"", "Bearer", "Bearer ", "Bearer undefined", "Bearer null",
		firstSigning, "Basic " + firstSigning, "Bearer" + firstSigning,
		"Bearer " + firstEvent, "Bearer " + firstSigning[:40], "Bearer " + firstSigning + "0", "Bearer signkey-prod-",
		"Bearer " + strings.ToUpper(firstSigning[13:]), "Bearer " + hashOf(t, hashOf(t, secondSigning)),
		"Bearer signkey-prod-signkey-prod-" + firstSigning[13:],
	} {
		environment, err := keys.Authorization(context.Background(), header)
		require.ErrorIs(t, err, stepwell.ErrUnauthorized, header)
		require.ErrorContains(t, err, "Authentication failed")
		require.Equal(t, stepwell.EnvironmentID{}, environment)
		requireNoKey(t, err)
	}
}

// requireNoKey: a refusal, or a complaint about keys, tells none of them.
func requireNoKey(t *testing.T, err error) {
	t.Helper()
	for _, key := range []string{firstEvent, secondEvent, firstSigning[13:], secondSigning} {
		require.NotContains(t, err.Error(), key)
		require.NotContains(t, err.Error(), key[:8])
	}
}

func TestKeysThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	const noHex = " is not an even number of hexadecimal digits, after a prefix such as signkey-prod- if it has one; "
	const how = "make one with: openssl rand -hex 32"
	event, signing := []string{firstEvent}, []string{firstSigning}
	for name, test := range map[string]struct {
		events, signings []string
		problems         []string
	}{
		"none": {nil, nil, []string{
			"event_keys is empty, so nobody could publish; " + how,
			"signing_keys is empty, so no app could register; " + how,
		}},
		"short": {[]string{firstEvent, "short", ""}, []string{firstSigning[:24], firstSigning}, []string{
			"signing key 1 is not", "event key 2 has 5 characters, it must have at least 16; " + how,
			"event key 3 has 0 characters, it must have at least 16; " + how,
		}},
		"few digits": {event, []string{firstSigning[:29]}, []string{
			"signing key 1 has 16 digits, it must have at least 32; " + how,
		}},
		"odd digits": {event, []string{firstSigning + "0"}, []string{"signing key 1" + noHex + how}},
		"no digits":  {event, []string{"signkey-prod-"}, []string{"signing key 1" + noHex + how}},
		"other characters": {event, []string{firstSigning, "signkey-prod-" + strings.Repeat("xyz!", 16)}, []string{
			"signing key 2" + noHex + how,
		}},
		"white space": {[]string{secondEvent, firstEvent + "\n"}, signing, []string{
			"event key 1 has white space or control characters in it; " + how, "event key 2 has white space",
		}},
		"the same twice": {[]string{firstEvent, secondSigning, firstEvent}, signing, []string{
			"event key 3 is the same as event key 1",
		}},
		"the same, another prefix": {event, []string{firstSigning, "signkey-test-" + firstSigning[13:]}, []string{
			"signing key 2 is the same as signing key 1",
		}},
		"one key for both": {[]string{firstEvent, firstSigning}, signing, []string{
			"event key 2 is the same as signing key 1",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, err := eventapi.NewStaticKeys(test.events, test.signings)
			require.Nil(t, keys)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(test.problems), err)
			for i, problem := range test.problems {
				require.Contains(t, lines[i], problem)
			}
			requireNoKey(t, err)
		})
	}
}
