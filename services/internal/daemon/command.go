package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stepwell/stepwell/services/internal/config"
)

// Program says what a program is.
type Program struct {
	// Use, Short, Long and Example are what --help says.
	Use, Short, Long, Example string
	Version                   string
	// Settings points to the program's settings, which are their defaults at first; Common to the Settings in them.
	Settings any
	Common   *Settings
	// Options say how settings are named, besides what is the same for all programs.
	Options config.Options
	// Environ is the environment, as os.Environ returns it.
	Environ []string
	// Compose makes the parts of the program, of settings that are loaded by then, and starts nothing.
	Compose func(ctx context.Context, p *Process) error

	// only are the settings that a command uses; empty for all.
	only []string
}

const (
	envPrefix = "STEPWELL_"
	// envConfig names the file of settings.
	envConfig = envPrefix + "CONFIG"
	// envCollector is what every program with OpenTelemetry calls this setting.
	envCollector = "OTEL_EXPORTER_OTLP_ENDPOINT"
)

// Run is for main: it executes a program's command line and returns the exit status.
func Run(command *cobra.Command) int {
	if err := command.ExecuteContext(context.Background()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", command.Name(), err)
		return 1
	}
	return 0
}

// Command is the command that runs the program until it is told to stop.
func (p Program) Command() *cobra.Command {
	return p.command(&cobra.Command{Use: p.Use, Short: p.Short, Long: p.Long, Example: p.Example},
		func(cmd *cobra.Command, _ *config.Settings) error {
			return p.run(cmd.Context(), cmd.CommandPath(), cmd.ErrOrStderr())
		})
}

// ConfigCommand is the command that prints the settings in effect.
func (p Program) ConfigCommand() *cobra.Command {
	command := p.command(&cobra.Command{
		Use: "config", Short: "Print the settings in effect, each with its source; secrets are hidden",
		Long: "Print the settings in effect as a YAML file, each with where it comes from. Secrets are hidden.\n\n" +
			"The order is: defaults, the file, the environment, flags; what comes later wins.",
		Example: "  " + commandPath(p.Use) + "config --config stepwell.yaml",
	}, func(cmd *cobra.Command, settings *config.Settings) error {
		text, err := settings.Effective()
		if err == nil {
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
		}
		return err
	})
	reference := command.Flags().Bool("reference", false, "print all settings there are as a Markdown table instead")
	effective := command.RunE
	command.RunE = func(cmd *cobra.Command, args []string) error {
		if !*reference {
			return effective(cmd, args)
		}
		settings, err := p.describe()
		if err == nil {
			_, err = fmt.Fprint(cmd.OutOrStdout(), settings.Reference())
		}
		return err
	}
	return command
}

// commandPath is how commands beside this one are called.
func commandPath(use string) string {
	if use == "start" {
		return "stepwell "
	}
	return use + " "
}

// LoadedCommand is another command that needs the settings.
func (p Program) LoadedCommand(command *cobra.Command, run func(cmd *cobra.Command) error) *cobra.Command {
	return p.command(command, func(cmd *cobra.Command, _ *config.Settings) error { return run(cmd) })
}

// MigrateCommand is the command that migrates the schema of a database, of which only the setting databaseURL is
// needed. migrate takes the version to go to; -1 is what this release needs.
func (p Program) MigrateCommand(
	databaseURL string, migrate func(ctx context.Context, version int64, out io.Writer) error,
) *cobra.Command {
	var version int64
	p.only = []string{databaseURL}
	command := &cobra.Command{
		Use: "migrate", Short: "Bring the schema of the database to what this release needs; harmless if it is there",
		Long: "Bring the schema of the database to what this release needs. Several may do so at a time, and again at any " +
			"time.\n\nReleases first add to the schema and remove later, so the release before runs on it, too. To go back " +
			"further,\nend all services and use --down-to: what later versions added is lost.",
		Example: "  " + commandPath(p.Use) + "migrate --database-url postgres://stepwell@localhost/stepwell",
	}
	command.Flags().Int64Var(&version, "down-to", -1, "take the schema back to this version, with all that later ones added")
	return p.command(command, func(cmd *cobra.Command, _ *config.Settings) error {
		return migrate(cmd.Context(), version, cmd.OutOrStdout())
	})
}

// command gives a command the flags of all settings, and has them loaded before it runs.
func (p Program) command(
	command *cobra.Command, run func(cmd *cobra.Command, settings *config.Settings) error,
) *cobra.Command {
	settings, mistake := p.describe()
	command.Args = cobra.NoArgs
	command.SilenceUsage, command.SilenceErrors = true, true
	var file string
	command.Flags().StringVar(&file, "config", Lookup(p.Environ, envConfig),
		"YAML file with settings (environment: "+envConfig+")")
	if mistake == nil {
		settings.AddFlags(command.Flags())
	}
	command.RunE = func(cmd *cobra.Command, _ []string) error {
		if mistake != nil {
			return mistake
		}
		err := settings.Load(config.Sources{File: file, Environ: p.Environ, Flags: cmd.Flags(), Only: p.only})
		if wrong, ok := errors.AsType[*config.LoadError](err); ok {
			return fmt.Errorf("%d of the settings are wrong:\n%w\n`%s --help` lists all settings",
				len(wrong.Problems), wrong, cmd.CommandPath())
		}
		if err != nil {
			return err
		}
		return run(cmd, settings)
	}
	return command
}

// describe describes the program's settings.
func (p Program) describe() (*config.Settings, error) {
	p.Options.EnvPrefix = envPrefix
	p.Options.EnvAliases = maps.Clone(p.Options.EnvAliases)
	if p.Options.EnvAliases == nil {
		p.Options.EnvAliases = map[string]string{}
	}
	p.Options.EnvAliases[envCollector] = "telemetry.otlp_endpoint"
	p.Options.EnvForeign = slices.Concat(p.Options.EnvForeign, []string{envConfig, "STEPWELL_SERVER"})
	return config.For(p.Settings, p.Options)
}

// VersionCommand prints the version.
func (p Program) VersionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  " + p.Use + " version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), p.Version)
			return err
		},
	}
}

// Lookup is the value of an environment variable; empty if there is none.
func Lookup(environ []string, name string) string {
	value := ""
	for _, variable := range environ {
		if key, text, _ := strings.Cut(variable, "="); key == name {
			value = text
		}
	}
	return value
}
