package eventapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/stepwell/stepwell/services/internal/config"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// The least that a key must have, so that it cannot be guessed: 128 bits in hexadecimal digits, and for event keys,
// which may be of any characters, nearly as much.
const (
	eventKeyCharactersMin = 16
	signingKeyDigitsMin   = 32
)

// makeKey is how to make a good key.
const makeKey = "make one with: openssl rand -hex 32"

// digest is what is kept of a key, and compared. Digests are of one length, so comparing them takes one time.
type digest [sha256.Size]byte

func digestOf(text string) digest { return sha256.Sum256([]byte(text)) }

// KeyConfig is which keys users set.
type KeyConfig struct {
	EventKeys   []config.Secret `koanf:"event_keys" doc:"keys with which events are published; several may be in use"`
	SigningKeys []config.Secret `koanf:"signing_keys" doc:"keys of apps, which may register, report and ask; the first one signs calls to them"`
}

// KeyOptions are the further names of the settings of KeyConfig.
func KeyOptions() config.Options {
	return config.Options{
		EnvAliases:  map[string]string{"STEPWELL_EVENT_KEY": "event_keys", "STEPWELL_SIGNING_KEY": "signing_keys"},
		FlagAliases: map[string]string{"event-key": "event_keys", "signing-key": "signing_keys"},
	}
}

// Validate returns every problem at once.
func (c KeyConfig) Validate() error {
	_, err := c.Keys()
	return err
}

// Keys returns the keys.
func (c KeyConfig) Keys() (*StaticKeys, error) {
	return NewStaticKeys(config.Reveal(c.EventKeys), config.Reveal(c.SigningKeys))
}

// StaticKeys are keys that do not change while the server runs. All of them open the default environment. Several of a
// kind may be in use at a time, so that they can be rotated: add the new one, change the apps, remove the old one.
type StaticKeys struct {
	events []digest
	// authorizations are what callers of the API may present: of each signing key, its hash and the key itself, both
	// without prefix.
	authorizations []digest
	// tokenKeys are the signing keys, from which only the secrets of tokens are made.
	tokenKeys [][]byte
}

var _ Keys = (*StaticKeys)(nil)

// NewStaticKeys checks the keys. The error names every problem by the key's place in its list, never the key.
func NewStaticKeys(eventKeys, signingKeys []string) (*StaticKeys, error) {
	k := keyCheck{keys: &StaticKeys{}, places: map[string]string{}}
	if len(eventKeys) == 0 {
		k.wrong("event_keys is empty, so nobody could publish; %s", makeKey)
	}
	if len(signingKeys) == 0 {
		k.wrong("signing_keys is empty, so no app could register; %s", makeKey)
	}
	for i, key := range signingKeys {
		k.addSigning(fmt.Sprintf("signing key %d", i+1), key)
	}
	for i, key := range eventKeys {
		k.addEvent(fmt.Sprintf("event key %d", i+1), key)
	}
	if err := errors.Join(k.problems...); err != nil {
		return nil, err
	}
	return k.keys, nil
}

// keyCheck checks keys one by one.
type keyCheck struct {
	keys     *StaticKeys
	places   map[string]string // by key, without prefix
	problems []error
}

func (k *keyCheck) wrong(format string, args ...any) {
	k.problems = append(k.problems, fmt.Errorf(format, args...))
}

func (k *keyCheck) addSigning(place, key string) {
	_, secret := sdk.SplitSigningKey(key)
	prefixed, err := sdk.HashSigningKey(key)
	switch {
	case err != nil:
		k.wrong("%s is not an even number of hexadecimal digits, after a prefix such as signkey-prod- if it has one; %s",
			place, makeKey)
	case len(secret) < signingKeyDigitsMin:
		k.wrong("%s has %d digits, it must have at least %d; %s", place, len(secret), signingKeyDigitsMin, makeKey)
	default:
		k.once(place, secret)
		_, hash := sdk.SplitSigningKey(prefixed)
		k.keys.authorizations = append(k.keys.authorizations, digestOf(hash), digestOf(secret))
		k.keys.tokenKeys = append(k.keys.tokenKeys, []byte(secret))
	}
}

func (k *keyCheck) addEvent(place, key string) {
	switch {
	case strings.ContainsFunc(key, isBlank):
		k.wrong("%s has white space or control characters in it; %s", place, makeKey)
	case len(key) < eventKeyCharactersMin:
		k.wrong("%s has %d characters, it must have at least %d; %s", place, len(key), eventKeyCharactersMin, makeKey)
	default:
		_, secret := sdk.SplitSigningKey(key)
		k.once(place, secret)
		k.keys.events = append(k.keys.events, digestOf(key))
	}
}

// once refuses a key that is there twice, be it as another kind: publishers must not be able to do what apps may.
func (k *keyCheck) once(place, secret string) {
	if other, taken := k.places[secret]; taken {
		k.wrong("%s is the same as %s", place, other)
		return
	}
	k.places[secret] = place
}

func isBlank(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// EventKey implements Keys.
func (k *StaticKeys) EventKey(_ context.Context, key string) (stepwell.EnvironmentID, error) {
	switch {
	case key == "":
		return stepwell.EnvironmentID{}, stepwell.Unauthorizedf("Event key not found: the request has none")
	case !isAmong(key, k.events):
		return stepwell.EnvironmentID{}, stepwell.Unauthorizedf(
			"Event key not found: INNGEST_EVENT_KEY must be one of this server's event keys")
	}
	return stepwell.DefaultEnvironment(), nil
}

// Authorization implements Keys. SDKs present their signing key in three ways: its hash with the key's prefix, its hash
// without, and the key itself. What prefix there is says nothing, since apps and server may have the key with one or
// without.
func (k *StaticKeys) Authorization(_ context.Context, header string) (stepwell.EnvironmentID, error) {
	scheme, presented, _ := strings.Cut(header, " ")
	presented = strings.TrimSpace(presented)
	if !strings.EqualFold(scheme, "Bearer") || presented == "" || presented == "undefined" {
		return stepwell.EnvironmentID{}, stepwell.Unauthorizedf(
			"Authentication failed: the request has no signing key; set INNGEST_SIGNING_KEY, or send Authorization: Bearer KEY")
	}
	_, secret := sdk.SplitSigningKey(presented)
	if !isAmong(secret, k.authorizations) {
		return stepwell.EnvironmentID{}, stepwell.Unauthorizedf(
			"Authentication failed: INNGEST_SIGNING_KEY must be one of this server's signing keys")
	}
	return stepwell.DefaultEnvironment(), nil
}

// TokenKeys implements Keys.
func (k *StaticKeys) TokenKeys() [][]byte { return k.tokenKeys }

// isAmong compares with every digest, so that the time it takes tells nothing.
func isAmong(text string, digests []digest) bool {
	presented := digestOf(text)
	found := 0
	for _, d := range digests {
		found |= subtle.ConstantTimeCompare(presented[:], d[:])
	}
	return found == 1
}
