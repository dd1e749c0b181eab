package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/stepwell/stepwell/services/internal/config"
)

func TestSecretIsPrintedNowhere(t *testing.T) {
	t.Parallel()
	const text = "s3cr3t"
	type inner struct {
		Exported config.Secret
		hidden   config.Secret
		list     []config.Secret
	}
	value := inner{config.NewSecret(text), config.NewSecret(text), []config.Secret{config.NewSecret(text)}}
	var printed strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "% x", "%10.3s"} {
		fmt.Fprintf(&printed, verb+" "+verb+" "+verb+"\n", value, &value, value.Exported)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&printed, nil), slog.NewJSONHandler(&printed, nil)} {
		slog.New(handler).Info("m", "a", value, "b", value.Exported, "c", &value.Exported, "d", value.list)
	}
	printed.WriteString(marshalled(t, value.Exported) + marshalled(t, value) + marshalled(t, value.list))
	printed.WriteString(fmt.Errorf("w: %v", value.Exported).Error())
	require.NotContains(t, printed.String(), text)
	require.NotContains(t, printed.String(), fmt.Sprintf("%x", text))
	require.Contains(t, printed.String(), "[hidden]")

	require.Equal(t, text, value.hidden.Reveal())
	require.Empty(t, config.Secret{}.Reveal())
	require.Empty(t, config.Secret{}.String(), "that there is none may be seen")
}

func marshalled(t *testing.T, value any) string {
	t.Helper()
	inJSON, err := json.Marshal(value)
	require.NoError(t, err)
	inYAML, err := yaml.Marshal(value)
	require.NoError(t, err)
	return string(inJSON) + string(inYAML)
}

func TestSecretFromAFile(t *testing.T) {
	t.Parallel()
	one := file(t, "url", "postgres://a:b@c\n")
	several := file(t, "keys", "k1\n  k2\r\n\n")
	path := file(t, "stepwell.yaml", "database_url_file: "+one+"\nkeys: {signing_file: "+several+"}\n")
	cfg, s := settings(t)
	require.NoError(t, s.Load(config.Sources{File: path}))
	require.Equal(t, "postgres://a:b@c", cfg.DatabaseURL.Reveal())
	require.Equal(t, []config.Secret{config.NewSecret("k1"), config.NewSecret("k2")}, cfg.Keys.Signing)
	effective, err := s.Effective()
	require.NoError(t, err)
	require.Contains(t, effective, "database_url: '[hidden]' # file "+one+", named by "+path+":1\n")

	// The stronger source wins, whichever form each uses.
	cfg, s = settings(t)
	require.NoError(t, s.Load(config.Sources{File: path, Environ: []string{"DATABASE_URL=x", "STEPWELL_KEYS_SIGNING=y"}}))
	require.Equal(t, "x", cfg.DatabaseURL.Reveal())
	require.Equal(t, []config.Secret{config.NewSecret("y")}, cfg.Keys.Signing)
	cfg, s = settings(t)
	require.NoError(t, s.Load(config.Sources{
		Environ: []string{"STEPWELL_DATABASE_URL=x"}, Flags: flags(t, s, "--database-url-file", one),
	}))
	require.Equal(t, "postgres://a:b@c", cfg.DatabaseURL.Reveal())
	cfg, s = settings(t)
	require.NoError(t, s.Load(config.Sources{Environ: []string{"DATABASE_URL_FILE=" + one}}))
	require.Equal(t, "postgres://a:b@c", cfg.DatabaseURL.Reveal())

	_, s = settings(t)
	err = s.Load(config.Sources{Environ: []string{"DATABASE_URL_FILE=" + one, "STEPWELL_DATABASE_URL=x"}})
	require.EqualError(t, err, "environment variable STEPWELL_DATABASE_URL and environment variable DATABASE_URL_FILE "+
		"both give database_url: remove one")
	for content, problem := range map[string]string{
		" \n": " is empty", strings.Repeat("s3cr3t", 20_000): " is larger than 65536 bytes",
	} {
		_, s = settings(t)
		bad := file(t, "bad", content)
		err = s.Load(config.Sources{Environ: []string{"DATABASE_URL_FILE=" + bad}})
		require.EqualError(t, err, "environment variable DATABASE_URL_FILE: database_url_file: "+bad+problem)
	}
}
