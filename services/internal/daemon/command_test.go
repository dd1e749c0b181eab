package daemon_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/daemon"
)

// errEnough ends a program that has been composed.
var errEnough = errors.New("enough")

func enough(context.Context, *daemon.Process) error { return errEnough }

func TestSettingsComeFromFileEnvironmentAndFlags(t *testing.T) {
	t.Parallel()
	path := file(t, "shop: file\ntill:\n  count: 2\nlog_level: warn\ndrain_delay: 5s\n")
	p := newProgram(enough, "SHOP_NAME=environment", "STEPWELL_TILL_COUNT=3", "HOME=/")
	_, err := p.run(t.Context(), p.Command(), "--config", path, "--till-count=4")
	require.ErrorIs(t, err, errEnough, "it is composed when all is loaded")
	require.Equal(t, "environment", p.settings.Shop)
	require.Equal(t, 4, p.settings.Till.Count)
	require.Equal(t, slog.LevelWarn, p.settings.LogLevel)
	require.Equal(t, 5*time.Second, p.settings.DrainDelay)
}

func TestFileOfSettingsIsNamedByTheEnvironment(t *testing.T) {
	t.Parallel()
	environ := []string{"STEPWELL_CONFIG=" + file(t, "shop: named"), "STEPWELL_SERVER=http://elsewhere"}
	p := newProgram(enough, environ...)
	_, err := p.run(t.Context(), p.Command())
	require.ErrorIs(t, err, errEnough)
	require.Equal(t, "named", p.settings.Shop)

	p = newProgram(enough, environ...)
	_, err = p.run(t.Context(), p.Command(), "--config", file(t, "shop: flag"))
	require.ErrorIs(t, err, errEnough)
	require.Equal(t, "flag", p.settings.Shop)
}

func TestAllProblemsOfSettingsComeAtOnce(t *testing.T) {
	t.Parallel()
	path := file(t, "shop: a\nshopp: b\ntill:\n  cuont: 2\nlog_format: xml\n")
	p := newProgram(enough, "STEPWELL_TILL_COUNT=many", "STEPWELL_SHOPS=c")
	_, err := p.run(t.Context(), p.Command(), "--config", path, "--drain-delay=11m", "--network-state=state")
	require.EqualError(t, err, `7 of the settings are wrong:
`+path+`:2: shopp is not a setting; did you mean shop?
`+path+`:4: till.cuont is not a setting; did you mean till.count?
environment variable STEPWELL_SHOPS is not a setting; did you mean STEPWELL_SHOP?
environment variable STEPWELL_TILL_COUNT: till.count: "many" is not a whole number
`+path+`:5: log_format is "xml", it must be json or text
flag --drain-delay: drain_delay is 11m0s, it must be between 0s and 10m0s
network: target of state: "state" is not like state:9000, or several such with commas between
`+"`shop --help` lists all settings")
	require.NotErrorIs(t, err, errEnough, "nothing is composed")
}

func TestCommandLineThatIsWrong(t *testing.T) {
	t.Parallel()
	for arg, problem := range map[string]string{
		"--shops=1":               "unknown flag: --shops",
		"open":                    `unknown command "open" for "shop"`,
		"--config=/not/there.yml": "/not/there.yml: no such file",
	} {
		p := newProgram(enough)
		_, err := p.run(t.Context(), p.Command(), arg)
		require.ErrorContains(t, err, problem)
		require.NotErrorIs(t, err, errEnough)
	}
}

// TestConfigShowsWhatIsInEffect, but no secrets, and composes nothing.
func TestConfigShowsWhatIsInEffect(t *testing.T) {
	t.Parallel()
	path := file(t, "secrets: [quiet-one, quiet-two]\nlog_level: debug\n")
	p := newProgram(enough, "SHOP_NAME=seen")
	out, err := p.run(t.Context(), p.ConfigCommand(), "--config", path, "--till-count", "7")
	require.NoError(t, err)
	require.NotContains(t, out, "quiet")
	for _, line := range []string{
		"log_level: DEBUG # " + path + ":2\n",
		"shop: seen # environment variable SHOP_NAME\n",
		"till:\n  count: 7 # flag --till-count\n",
		"log_format: json # default\n",
		"# " + path + ":1\nsecrets:\n  - '[hidden]'\n  - '[hidden]'\n",
	} {
		require.Contains(t, out, line)
	}
}

// TestReferenceOfSettings needs no settings, and tells defaults even where others are in effect.
func TestReferenceOfSettings(t *testing.T) {
	t.Parallel()
	p := newProgram(enough, "STEPWELL_TILL_COUNT=many")
	out, err := p.run(t.Context(), p.ConfigCommand(), "--reference")
	require.NoError(t, err)
	require.Contains(t, out, "| `till.count` | `STEPWELL_TILL_COUNT` | `--till-count` | number | `1` | how many there are |\n")
	require.Contains(t, out, "| `shop` | `STEPWELL_SHOP`, `SHOP_NAME` | `--shop` | text | `corner` | what the shop is called |\n")
}

// TestMistakeInTheProgramIsTold when it runs, not by a panic when it is made.
func TestMistakeInTheProgramIsTold(t *testing.T) {
	t.Parallel()
	p := newProgram(enough)
	p.Options.EnvAliases["SHOP_OWNER"] = "owner"
	_, err := p.run(t.Context(), p.Command())
	require.ErrorContains(t, err, "alias SHOP_OWNER for owner: there is no such key")
}

func TestLoadedCommandHasTheSettings(t *testing.T) {
	t.Parallel()
	p := newProgram(enough, "SHOP_NAME=loaded")
	ran := false
	command := p.LoadedCommand(&cobra.Command{Use: "sweep"}, func(*cobra.Command) error {
		ran = true
		require.Equal(t, "loaded", p.settings.Shop)
		return nil
	})
	_, err := p.run(t.Context(), command)
	require.NoError(t, err)
	require.True(t, ran)
	_, err = p.run(t.Context(), command, "--log-format=xml")
	require.ErrorContains(t, err, "`sweep --help` lists all settings")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	p := newProgram(enough)
	out, err := p.run(t.Context(), p.VersionCommand())
	require.NoError(t, err)
	require.Equal(t, "v1.2.3\n", out)
}

func TestLookup(t *testing.T) {
	t.Parallel()
	environ := []string{"A=1", "AB=2", "A=3", "EMPTY=", "B=x=y"}
	require.Equal(t, "3", daemon.Lookup(environ, "A"), "the last one counts")
	require.Equal(t, "x=y", daemon.Lookup(environ, "B"))
	require.Empty(t, daemon.Lookup(environ, "EMPTY"))
	require.Empty(t, daemon.Lookup(environ, "C"))
}
