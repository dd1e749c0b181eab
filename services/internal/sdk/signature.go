package sdk

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// SignatureAgeMax is how far a signature's time may be from ours; SDKs allow calls the same.
const SignatureAgeMax = 5 * time.Minute

// Signed is a body with its signature.
type Signed struct {
	// Body is what to send.
	Body []byte
	// Signature is the value of HeaderSignature; empty for a server without a key, whose requests have no such header.
	Signature string
}

// Signer signs requests to apps with a signing key. The zero Signer is that of a server without a key: it signs
// nothing, which apps accept in dev mode only.
type Signer struct {
	// sum hides the key from everything that prints a Signer. It is nil without a key.
	sum func(message []byte, at string) []byte
}

// NewSigner returns a signer with the key, in the form in which apps have it: a prefix such as `signkey-prod-` is not
// part of it, and it is not decoded.
func NewSigner(key string) Signer {
	_, secret := SplitSigningKey(key)
	return Signer{sum: func(message []byte, at string) []byte { return signatureOf(secret, message, at) }}
}

// signatureOf is the code over a message and a time.
func signatureOf(secret string, message []byte, at string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(message)
	mac.Write([]byte(at))
	return mac.Sum(nil)
}

// Sign signs a body that is sent at a time. SDKs check a signature over the canonical form of the body that they get,
// so the body goes out as it is, which keeps numbers that JavaScript cannot hold; but if SDKs would disagree about that
// form, the form itself goes out. An empty body has an empty form. The error says where the body is not JSON.
func (s Signer) Sign(body []byte, at time.Time) (Signed, error) {
	if s.sum == nil {
		return Signed{Body: body}, nil
	}
	var form canonical
	if len(body) > 0 {
		var err error
		if form, err = canonicalize(body); err != nil {
			return Signed{}, fmt.Errorf("sign body: %w", err)
		}
	}
	if form.repaired {
		body = form.json
	}
	seconds := strconv.FormatInt(at.Unix(), 10)
	// The Go SDK compares the header as a whole, so the order of the two is fixed.
	return Signed{Body: body, Signature: "t=" + seconds + "&s=" + hex.EncodeToString(s.sum(form.json, seconds))}, nil
}

// VerifyResponse checks the signature of an app's answer, the value of its HeaderSignature. It is good if one of the
// keys made it, over the body as it came or without its last line feed (which the Go SDK adds after signing), at a time
// near now. The error is stepwell.ErrUnauthorized and says what is wrong with the signature, nothing about keys or body.
func VerifyResponse(signature string, body []byte, keys []string, now time.Time) error {
	if signature == "" {
		return stepwell.Unauthorizedf("the app's answer has no signature")
	}
	values, err := url.ParseQuery(signature)
	seconds := values.Get("t")
	sum, err2 := hex.DecodeString(values.Get("s"))
	unix, err3 := strconv.ParseInt(seconds, 10, 64)
	if err != nil || err2 != nil || err3 != nil || len(sum) != sha256.Size {
		return stepwell.Unauthorizedf("the signature of the app's answer is not of the form t=…&s=…")
	}
	if now.Sub(time.Unix(unix, 0)).Abs() > SignatureAgeMax {
		return stepwell.Unauthorizedf("the signature of the app's answer is more than %s from the server's time",
			SignatureAgeMax)
	}
	messages := [][]byte{body}
	if n := len(body); n > 0 && body[n-1] == '\n' {
		messages = append(messages, body[:n-1])
	}
	good := 0
	for _, key := range keys {
		_, secret := SplitSigningKey(key)
		for _, message := range messages {
			good |= subtle.ConstantTimeCompare(signatureOf(secret, message, seconds), sum)
		}
	}
	if good == 0 {
		return stepwell.Unauthorizedf("the signature of the app's answer was made with another key, or over another body")
	}
	return nil
}
