package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
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
}

const (
	envPrefix = "STEPWELL_"
	// envConfig names the file of settings.
	envConfig = envPrefix + "CONFIG"
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
		func(cmd *cobra.Command, _ *config.Settings) error { return p.run(cmd.Context(), cmd.ErrOrStderr()) })
}

// ConfigCommand is the command that prints the settings in effect.
func (p Program) ConfigCommand() *cobra.Command {
	return p.command(&cobra.Command{
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
}

// commandPath is how commands beside this one are called.
func commandPath(use string) string {
	if use == "start" {
		return "stepwell "
	}
	return use + " "
}

// LoadedCommand is another command that needs the settings, such as one that migrates the schema.
func (p Program) LoadedCommand(command *cobra.Command, run func(cmd *cobra.Command) error) *cobra.Command {
	return p.command(command, func(cmd *cobra.Command, _ *config.Settings) error { return run(cmd) })
}

// command gives a command the flags of all settings, and has them loaded before it runs.
func (p Program) command(
	command *cobra.Command, run func(cmd *cobra.Command, settings *config.Settings) error,
) *cobra.Command {
	p.Options.EnvPrefix = envPrefix
	p.Options.EnvForeign = append(p.Options.EnvForeign, envConfig, "STEPWELL_SERVER")
	settings, mistake := config.For(p.Settings, p.Options)
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
		err := settings.Load(config.Sources{File: file, Environ: p.Environ, Flags: cmd.Flags()})
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
