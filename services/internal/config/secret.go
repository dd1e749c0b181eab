package config

import (
	"fmt"
	"io"
	"log/slog"
)

// hidden is what is printed of a secret.
const hidden = "[hidden]"

// Secret is a text that nothing prints: fmt with any verb, slog, JSON and YAML show `[hidden]`, or nothing if it is
// empty. Only Reveal tells it. It is held by a pointer, so that fmt cannot see it in an unexported field either, where it
// does not ask for methods; so compare what Reveal returns.
type Secret struct {
	text *string
}

// NewSecret returns the text as a secret.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Reveal returns the texts of several secrets.
func Reveal(secrets []Secret) []string {
	texts := make([]string, len(secrets))
	for i, secret := range secrets {
		texts[i] = secret.Reveal()
	}
	return texts
}

// String returns what may be shown.
func (s Secret) String() string {
	if s.Reveal() == "" {
		return ""
	}
	return hidden
}

// Format implements fmt.Formatter, for verbs such as %x that would show what String returns in another way.
func (s Secret) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, s.String()) // fmt has no way to tell
}

// MarshalText implements encoding.TextMarshaler, by which JSON and YAML print it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
