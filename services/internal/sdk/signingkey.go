package sdk

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// keyPrefix begins the keys that name their environment: `signkey-prod-…`.
const keyPrefix = "signkey-"

// SplitSigningKey splits a signing key, or the hash of one, into its prefix, which may be empty, and the rest.
func SplitSigningKey(key string) (prefix, secret string) {
	rest, prefixed := strings.CutPrefix(key, keyPrefix)
	if !prefixed {
		return "", key
	}
	environment, secret, dashed := strings.Cut(rest, "-")
	if !dashed || environment == "" || strings.ContainsFunc(environment, isNoWordCharacter) {
		return "", key
	}
	return key[:len(key)-len(secret)], secret
}

// isNoWordCharacter is what the SDKs do not allow in a prefix.
func isNoWordCharacter(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// HashSigningKey is what SDKs present of a signing key: its prefix, and the hash of what its digits mean.
func HashSigningKey(key string) (string, error) {
	prefix, secret := SplitSigningKey(key)
	decoded, err := hex.DecodeString(secret)
	if err != nil || len(decoded) == 0 {
		return "", stepwell.Invalidf(
			"a signing key must be an even number of hexadecimal digits, after a prefix if it has one")
	}
	sum := sha256.Sum256(decoded)
	return prefix + hex.EncodeToString(sum[:]), nil
}
