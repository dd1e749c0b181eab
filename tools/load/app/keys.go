package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/gowebpki/jcs"
)

// signatureAgeMax is how far the time of a signature may be from ours.
const signatureAgeMax = 5 * time.Minute

// keyPrefix returns the part of a signing key that is not key, such as signkey-prod-.
func keyPrefix(key string) string { return regexp.MustCompile(`^signkey-\w+-`).FindString(key) }

// bearerOf is how an app proves itself to the server: by the hash of its signing key. It is empty without a key.
func bearerOf(key string) (string, error) {
	if key == "" {
		return "", nil
	}
	prefix := keyPrefix(key)
	secret, err := hex.DecodeString(key[len(prefix):])
	if err != nil {
		return "", errors.New("the signing key is not hexadecimal after its prefix: use what the server was given")
	}
	hash := sha256.Sum256(secret)
	return "Bearer " + prefix + hex.EncodeToString(hash[:]), nil
}

// verify checks the signature of a call as SDKs do, over the canonical form of its body. That costs more than all else
// that the app does.
func verify(key, signature string, body []byte, now time.Time) error {
	values, err := url.ParseQuery(signature)
	if err != nil {
		return fmt.Errorf("the signature %q cannot be read: %w", signature, err)
	}
	seconds, err := strconv.ParseInt(values.Get("t"), 10, 64)
	if err != nil {
		return fmt.Errorf("the signature %q has no time: %w", signature, err)
	}
	if age := now.Sub(time.Unix(seconds, 0)).Abs(); age > signatureAgeMax {
		return fmt.Errorf("the signature is off by %s", age)
	}
	canonical, err := jcs.Transform(body)
	if err != nil {
		return fmt.Errorf("the call has no canonical form: %w", err)
	}
	code := hmac.New(sha256.New, []byte(key[len(keyPrefix(key)):]))
	code.Write(canonical)
	code.Write([]byte(values.Get("t")))
	if !hmac.Equal([]byte(hex.EncodeToString(code.Sum(nil))), []byte(values.Get("s"))) {
		return errors.New("the signature is not of this call and key")
	}
	return nil
}
