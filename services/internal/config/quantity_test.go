package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/config"
)

type quantities struct {
	For  time.Duration `koanf:"for" doc:"d"`
	Size config.Bytes  `koanf:"size" doc:"s"`
}

func loadQuantities(t require.TestingT, environ ...string) (quantities, error) {
	var q quantities
	s, err := config.For(&q, config.Options{})
	require.NoError(t, err)
	err = s.Load(config.Sources{Environ: environ})
	return q, err
}

// TestQuantitiesReadBack: what is written of a duration or size means the same.
func TestQuantitiesReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := quantities{
			For: time.Duration(rapid.Int64().Draw(t, "for")), Size: config.Bytes(rapid.Int64Min(0).Draw(t, "size")),
		}
		if rapid.Bool().Draw(t, "round") {
			want.For = want.For.Truncate(time.Minute)
			want.Size = want.Size &^ 0xFFFFF
		}
		s, err := config.For(&want, config.Options{})
		require.NoError(t, err)
		effective, err := s.Effective()
		require.NoError(t, err)
		var written struct {
			For  string `yaml:"for"`
			Size string `yaml:"size"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(effective), &written))
		got, err := loadQuantities(t, "FOR="+written.For, "SIZE="+written.Size)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestQuantities(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"1d": 24 * time.Hour, "7d": 168 * time.Hour, "1d12h30m": 36*time.Hour + 30*time.Minute, "0": 0, "0s": 0,
		"-5s": -5 * time.Second, "1.5h": 90 * time.Minute, "100us": 100 * time.Microsecond, "106751d": 106751 * 24 * time.Hour,
	} {
		q, err := loadQuantities(t, "FOR="+text)
		require.NoError(t, err, text)
		require.Equal(t, want, q.For, text)
	}
	for _, text := range []string{
		"5", "1w", "d", "1d5", "1.5d", "1h2d", "106752d", "106751d24h", "99999999999999999999d", "-1d", "soon",
	} {
		_, err := loadQuantities(t, "FOR="+text)
		require.ErrorContains(t, err, "is not a duration such as 500ms, 30s, 1h30m or 7d", text)
	}
	for text, want := range map[string]config.Bytes{
		"0": 0, "1024": 1024, "1B": 1, "512KiB": 512 << 10, "3MiB": 3 << 20, "1GiB": 1 << 30, "2TiB": 2 << 40,
		"1kB": 1e3, "1MB": 1e6, "1GB": 1e9, "1TB": 1e12, "5 MiB": 5 << 20, "9223372036854775807": 1<<63 - 1,
	} {
		q, err := loadQuantities(t, "SIZE="+text)
		require.NoError(t, err, text)
		require.Equal(t, want, q.Size, text)
	}
	for _, text := range []string{
		"-1", "1.5MiB", "MiB", "1mib", "1K", "1Ki", "1iB", "8388608TiB", "9223372036854775808", "1BB", "0x10",
	} {
		_, err := loadQuantities(t, "SIZE="+text)
		require.ErrorContains(t, err, "is not a size such as", text)
	}
}
