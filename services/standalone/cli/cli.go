// Package cli is the command line: the dev server, and commands that talk to a running server.
//
// It must not decide anything about events or runs: it starts services, and shows what the API says.
package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/stepwell/stepwell/services/internal/daemon"
)

// serverDefault is where a dev server listens by default.
const serverDefault = "http://localhost:8288"

// options are what every command knows.
type options struct {
	server string
	// signingKey opens the API of a server that is not a dev server.
	signingKey string
	asJSON     bool
}

// New returns the root command. version is what `stepwell version` prints; environ is the environment, as os.Environ returns it.
func New(version string, environ []string) *cobra.Command {
	o := &options{server: serverDefault}
	if server := daemon.Lookup(environ, "STEPWELL_SERVER"); server != "" {
		o.server = server
	}
	root := &cobra.Command{
		Use:   "stepwell",
		Short: "Durable functions: run a server, publish events, look at runs",
		Example: `  stepwell dev --urls http://localhost:3000/api/inngest
  stepwell start --config stepwell.yaml
  stepwell send shop/order.placed --data '{"order":"o-1"}'
  stepwell runs show`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&o.server, "server", o.server,
		"where the server listens (environment: STEPWELL_SERVER)")
	o.signingKey = firstKey(daemon.Lookup(environ, "STEPWELL_SIGNING_KEY"))
	root.AddCommand(
		newDev(version), newStart(version, environ), newConfig(version, environ), newMigrate(version, environ),
		newProbe(version, environ), newDoctor(version, environ, o), newSend(o), newRuns(o), newFunctions(o), newVersion(version, o),
	)
	return root
}

// firstKey is the first of the keys in a text, as a server takes a list: a command asks with one of them. It has no flag:
// what stands on a command line is seen by everybody on the machine.
func firstKey(text string) string {
	keys := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if len(keys) == 0 {
		return ""
	}
	return keys[0]
}

// addJSON gives a command the flag --json.
func (o *options) addJSON(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print JSON")
}

// printJSON prints a value for programs.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}

func newVersion(version string, o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  stepwell version --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]string{"version": version})
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	}
	o.addJSON(cmd)
	return cmd
}
