package config_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/config"
)

func TestFlagsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	_, s := settings(t)
	usage := regexp.MustCompile(` +`).ReplaceAllString(flags(t, s).FlagUsages(), " ")
	for _, line := range []string{
		" --executor-workers number how many items are worked on at a time (default 100)\n",
		" --executor-lease-for duration how long an item stays with a silent executor (default 30s)\n",
		" --http-tls-enabled whether to encrypt\n",
		" --keys-signing list-of-secret keys of apps; the first one signs\n",
		" --database-url-file text file with what database_url is to be\n",
		" --port number port for HTTP (default 8080)\n",
	} {
		require.Contains(t, usage, line)
	}
	// Flags of the program's own are left alone.
	set := flags(t, s, "--name=a")
	set.String("config", "", "")
	require.NoError(t, set.Parse([]string{"--config=x"}))
	require.NoError(t, s.Load(config.Sources{Flags: set}))
}

type wrongs struct {
	A  int            `doc:"a"`
	B  int            `koanf:"b"`
	C  map[string]int `koanf:"c" doc:"c"`
	D  int            `koanf:"D" doc:"d"`
	E  int            `koanf:"e_f" doc:"e"`
	E2 struct {
		F int `koanf:"f" doc:"f"`
	} `koanf:"e"`
	G config.Secret `koanf:"g" doc:"g"`
	H string        `koanf:"g_file" doc:"h"`
	I string        `koanf:"i_service_host" doc:"i"`
}

func TestMistakesOfTheProgramAreNamed(t *testing.T) {
	t.Parallel()
	_, err := config.For(&wrongs{}, config.Options{EnvPrefix: "X_"})
	for _, problem := range []string{
		`field A of config_test.wrongs: the tag koanf is "", it must be in snake_case, or - for no setting`,
		"field B of config_test.wrongs: the tag doc is missing",
		"field C of config_test.wrongs: a map[string]int cannot be loaded",
		`field D of config_test.wrongs: the tag koanf is "D"`,
		"the key e.f has the same names as e_f",
		"the key g_file has the same names as g_file",
		"the key i_service_host has the variable X_I_SERVICE_HOST, which Kubernetes may set",
	} {
		require.ErrorContains(t, err, problem)
	}
	_, err = config.For(server{}, config.Options{})
	require.ErrorContains(t, err, "config_test.server is not a pointer to a struct")
	for _, o := range []config.Options{
		{EnvAliases: map[string]string{"X": "nothing"}},
		{FlagAliases: map[string]string{"x": "nothing"}},
		{FlagAliases: map[string]string{"http-port": "name"}},
		{EnvPrefix: "Y_", EnvAliases: map[string]string{"Y_NAME": "http.port"}},
	} {
		_, err = config.For(&server{}, o)
		require.ErrorContains(t, err, "there is no such key, or the name is taken")
	}
}
