package sdk_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

const signingKey = "signkey-prod-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func signedAt() time.Time { return time.Unix(1_700_000_000, 999_999_999) }

// TestSignaturesAreThoseOfTheSDKs: the JS SDK 4.24.0 (signDataWithKey over the parsed body) and the Go SDK 0.15.0 (Sign
// over the body's bytes) both made these.
func TestSignaturesAreThoseOfTheSDKs(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"": "a5b3848cf54a129e782a682980081eaa0fea9734d52e1e52f1eca244b671e009",

		`{"a":1}`: "6f935f4999a22697d3186d2f528b9ba93bd1bce44e799b690985927c66c072d2",

		`{"url":"http://localhost:3000/api/inngest?a=1&b=<2>"}`: "" +
			"c374d2e9c484790fb8ce1c463aac6fb3c087275d144f8a93e10b663699b2a344",

		`{"n":[12345678901234567890,1.0,1e21,1E-7,-0,0.000001,5e-324,1e20,9007199254740993]}`: "" +
			"8ca6f4ec328d0053695ad663ad7318516d74510c7041af3fb4967c772bfd2663",

		`{"s":"\u20ac\u00e9\ud83d\ude00\u0000\u001F\b\/\"\\\u2028","b":{"d":1,"c":[{"f":1,"e":2}]},` +
			`"10":3,"9":4,"":5,"\ufb33":6,"\ud83d\ude00":7,"\u0061":8}`: "" +
			"ec4c97b7e0ded976dbd9725f66d35402e5d3589be1556ce018837721ccfd6ccb",
	} {
		signed, err := sdk.NewSigner(signingKey).Sign([]byte(body), signedAt())
		require.NoError(t, err)
		require.Equal(t, "t=1700000000&s="+want, signed.Signature)
		require.Equal(t, body, string(signed.Body), "it goes out as it is: big numbers keep their digits")
		unprefixed, err := sdk.NewSigner(strings.TrimPrefix(signingKey, "signkey-prod-")).Sign([]byte(body), signedAt())
		require.NoError(t, err)
		require.Equal(t, signed, unprefixed, "the prefix is no part of the key")
	}
}

// TestBodyThatSDKsReadDifferentlyGoesOutRepaired: both SDKs took the repaired bodies with these signatures; of the
// bodies as they are, each computes another one.
func TestBodyThatSDKsReadDifferentlyGoesOutRepaired(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"b":1,"a":1,"a":2}`: `{"a":2,"b":1}`, `{"s":"\ud800"}`: `{"s":"` + "\ufffd" + `"}`, `{"n":1e400}`: `{"n":null}`,
		"{\"s\":\"\xff\"}": `{"s":"` + "\ufffd" + `"}`, `{"toJSON":1,"a":2}`: `{"a":2,"toJSON":1}`,
	} {
		signed, err := sdk.NewSigner(signingKey).Sign([]byte(body), signedAt())
		require.NoError(t, err)
		require.Equal(t, want, string(signed.Body))
		again, err := sdk.NewSigner(signingKey).Sign([]byte(want), signedAt())
		require.NoError(t, err)
		require.Equal(t, again.Signature, signed.Signature)
	}
	_, err := sdk.NewSigner(signingKey).Sign([]byte(`{"secret":`), signedAt())
	require.EqualError(t, err, "sign body: the JSON ends too early")
}

func TestServerWithoutAKeySignsNothing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{"a":1,"a":2}`, `no JSON`} {
		signed, err := sdk.Signer{}.Sign([]byte(body), signedAt())
		require.NoError(t, err)
		require.Equal(t, sdk.Signed{Body: []byte(body)}, signed)
	}
}

// TestSignerShowsNoKey, however it is printed.
func TestSignerShowsNoKey(t *testing.T) {
	t.Parallel()
	holder := struct{ signer sdk.Signer }{sdk.NewSigner("s3cr3t")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		require.NotContains(t, fmt.Sprintf(verb, holder), "s3cr3t")
		require.NotContains(t, fmt.Sprintf(verb, holder), fmt.Sprintf("%x", "s3cr3t"))
	}
}

// TestResponseSignatures: the JS SDK 4.24.0 made them.
func TestResponseSignatures(t *testing.T) {
	t.Parallel()
	const (
		body        = `{"b":1, "a":2}`
		good        = "t=1700000000&s=296ce7b68f2638b301eaf302a178553446a7c06a355015a532370b127503c018"
		withNewline = "t=1700000000&s=ce505da766fc651701f6db54bb3844c4f8a3910ca6f98f3fd05df803a2e3a7e5"
		foreign     = "signkey-prod-ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		otherKey    = "the signature of the app's answer was made with another key, or over another body"
		noForm      = "the signature of the app's answer is not of the form t=…&s=…"
		tooFar      = "the signature of the app's answer is more than 5m0s from the server's time"
	)
	at := time.Unix(1_700_000_000, 0)
	for name, test := range map[string]struct {
		signature, body string
		keys            []string
		now             time.Time
		problem         string
	}{
		"good":                       {good, body, []string{signingKey}, at, ""},
		"unprefixed key":             {good, body, []string{signingKey[13:]}, at, ""},
		"a line feed after signing":  {good, body + "\n", []string{signingKey}, at, ""},
		"a line feed that is signed": {withNewline, body + "\n", []string{signingKey}, at, ""},
		"the older of two keys":      {good, body, []string{foreign, signingKey}, at, ""},
		"the newer of two keys":      {good, body, []string{signingKey, foreign}, at, ""},
		"almost too old":             {good, body, []string{signingKey}, at.Add(5 * time.Minute), ""},
		"almost too early":           {good, body, []string{signingKey}, at.Add(-5 * time.Minute), ""},
		"order of the members":       {good[13:] + "&" + good[:12], body, []string{signingKey}, at, ""},
		"too old":                    {good, body, []string{signingKey}, at.Add(5*time.Minute + 1), tooFar},
		"too early":                  {good, body, []string{signingKey}, at.Add(-5*time.Minute - 1), tooFar},
		"centuries away":             {"t=99999999999999&s=" + good[15:], body, []string{signingKey}, at, tooFar},
		"other body":                 {good, body + " ", []string{signingKey}, at, otherKey},
		"canonical body":             {good, `{"a":2,"b":1}`, []string{signingKey}, at, otherKey},
		"two line feeds":             {good, body + "\n\n", []string{signingKey}, at, otherKey},
		"missing line feed":          {withNewline, body, []string{signingKey}, at, otherKey},
		"other time":                 {"t=1700000001&s=" + good[15:], body, []string{signingKey}, at, otherKey},
		"other key":                  {good, body, []string{foreign}, at, otherKey},
		"no keys":                    {good, body, nil, at, otherKey},
		"no signature":               {"", body, []string{signingKey}, at, "the app's answer has no signature"},
		"no time":                    {"s=" + good[15:], body, []string{signingKey}, at, noForm},
		"no sum":                     {"t=1700000000", body, []string{signingKey}, at, noForm},
		"half a sum":                 {good[:40], body, []string{signingKey}, at, noForm},
		"no number":                  {"t=now&s=" + good[15:], body, []string{signingKey}, at, noForm},
		"no query":                   {"%zz", body, []string{signingKey}, at, noForm},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := sdk.VerifyResponse(test.signature, []byte(test.body), test.keys, test.now)
			if test.problem == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, stepwell.ErrUnauthorized)
			require.EqualError(t, err, test.problem)
		})
	}
}

// TestSigningKeyHash: the JS SDK's hashSigningKey made it.
func TestSigningKeyHash(t *testing.T) {
	t.Parallel()
	const hash = "4884fdaafea47c29fea7159d0daddd9c085d6200e1359e85bb81736af6b7c837"
	for key, want := range map[string]string{
		signingKey: "signkey-prod-" + hash, signingKey[13:]: hash, strings.ToUpper(signingKey[13:]): hash,
		"signkey-my_test_2-" + signingKey[13:]: "signkey-my_test_2-" + hash,
	} {
		got, err := sdk.HashSigningKey(key)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, key := range []string{
		"", "signkey-prod-", "abc", "xyz0", "signkey-prod", "signkey--00", "signkey-a b-00", "signkey-prod-00-00",
	} {
		_, err := sdk.HashSigningKey(key)
		require.ErrorIs(t, err, stepwell.ErrInvalid)
		require.EqualError(t, err, "a signing key must be an even number of hexadecimal digits, after a prefix if it has one")
	}
}

// TestChangedRequestIsNoticed: whatever is changed of a signed body, it is signed otherwise (I26).
func TestChangedRequestIsNoticed(t *testing.T) {
	t.Parallel()
	signer := sdk.NewSigner(signingKey)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z]{0,3}`)
		body := func(what string) string {
			return fmt.Sprintf(`{"%s":{"%s":%d,"_":"%s"}}`, name.Draw(t, what), name.Draw(t, what),
				rapid.IntRange(0, 9).Draw(t, what), name.Draw(t, what))
		}
		one, other := body("one"), body("other")
		signedOne, err := signer.Sign([]byte(one), signedAt())
		require.NoError(t, err)
		signedOther, err := signer.Sign([]byte(other), signedAt())
		require.NoError(t, err)
		require.Equal(t, one == other, signedOne.Signature == signedOther.Signature)
	})
}
