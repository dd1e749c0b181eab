package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

type function struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	App      string    `json:"app"`
	SDK      string    `json:"sdk"`
	URL      string    `json:"url"`
	Version  int       `json:"version"`
	Retries  int       `json:"retries"`
	Triggers []trigger `json:"triggers"`
}

type trigger struct {
	Event      string `json:"event,omitempty"`
	Expression string `json:"expression,omitempty"`
	Cron       string `json:"cron,omitempty"`
}

func (t trigger) String() string {
	switch {
	case t.Cron != "":
		return "cron " + t.Cron
	case t.Expression != "":
		return t.Event + " if " + t.Expression
	}
	return t.Event
}

func newFunctions(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "functions",
		Short:   "List the functions that apps serve, and what starts them",
		Example: "  stepwell functions --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var functions []function
			if err := o.client().get(cmd.Context(), "/api/v1/functions", nil, &functions); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if o.asJSON {
				return printJSON(out, functions)
			}
			if len(functions) == 0 {
				fmt.Fprintln(out, "No functions yet. Start your app with INNGEST_DEV=1, and the server with --urls of its serve endpoint.")
				return nil
			}
			table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "FUNCTION\tAPP\tSDK\tRETRIES\tTRIGGERS")
			for _, f := range functions {
				triggers := make([]string, len(f.Triggers))
				for i, t := range f.Triggers {
					triggers[i] = t.String()
				}
				fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", f.ID, f.App, f.SDK, f.Retries, strings.Join(triggers, ", "))
			}
			return table.Flush()
		},
	}
	o.addJSON(cmd)
	return cmd
}
