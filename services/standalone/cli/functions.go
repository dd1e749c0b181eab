package cli

import (
	"fmt"
	"net/url"
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
	Hold     string    `json:"hold,omitempty"`
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

// state says what an operator has the function do.
func (f function) state() string {
	switch f.Hold {
	case "":
		return "active"
	case "queue":
		return "paused, runs wait"
	case "skip":
		return "paused, starts are skipped"
	case "drain":
		return "drained, starts are skipped"
	}
	return f.Hold
}

func newFunctions(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "functions",
		Short: "List the functions that apps serve; pause, resume and drain them",
		Example: `  stepwell functions --json
  stepwell functions pause shop-order
  stepwell functions resume shop-order`,
		Args: cobra.NoArgs,
		RunE: o.listFunctions,
	}
	o.addJSON(cmd)
	list := &cobra.Command{
		Use: "list", Short: "List the functions that apps serve, and what starts them",
		Example: "  stepwell functions list --json", Args: cobra.NoArgs, RunE: o.listFunctions,
	}
	o.addJSON(list)
	cmd.AddCommand(list, newFunctionsPause(o), newFunctionsHold(o, "resume",
		"Let a function that is paused or drained start and execute runs again, those that wait first",
	), newFunctionsHold(o, "drain",
		"Skip what would start a function, and let its live runs go on to their end",
	))
	return cmd
}

func (o *options) listFunctions(cmd *cobra.Command, _ []string) error {
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
	fmt.Fprintln(table, "FUNCTION\tAPP\tSDK\tRETRIES\tSTATE\tTRIGGERS")
	for _, f := range functions {
		triggers := make([]string, len(f.Triggers))
		for i, t := range f.Triggers {
			triggers[i] = t.String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", f.ID, f.App, f.SDK, f.Retries, f.state(), strings.Join(triggers, ", "))
	}
	return table.Flush()
}

func newFunctionsPause(o *options) *cobra.Command {
	var mode string
	cmd := &cobra.Command{
		Use:   "pause FUNCTION",
		Short: "Execute nothing of a function until it is resumed",
		Example: `  stepwell functions pause shop-order                 # new runs wait, as live ones do
  stepwell functions pause shop-order --mode skip     # new runs are skipped, live ones wait`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.holdFunction(cmd, args[0], "pause", map[string]string{"mode": mode})
		},
	}
	cmd.Flags().StringVar(&mode, "mode", "queue", "what becomes of new runs: queue or skip")
	o.addJSON(cmd)
	return cmd
}

func newFunctionsHold(o *options, verb, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb + " FUNCTION", Short: short, Example: "  stepwell functions " + verb + " shop-order", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.holdFunction(cmd, args[0], verb, struct{}{}) },
	}
	o.addJSON(cmd)
	return cmd
}

// holdFunction has the server hold a function, and says how it is then.
func (o *options) holdFunction(cmd *cobra.Command, id, verb string, body any) error {
	var answer struct {
		Data function `json:"data"`
	}
	if err := o.client().post(cmd.Context(), "/api/v1/functions/"+url.PathEscape(id)+"/"+verb, body, &answer); err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(cmd.OutOrStdout(), answer.Data)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s is %s\n", answer.Data.ID, answer.Data.state())
	return nil
}
