package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func newSend(o *options) *cobra.Command {
	var data, id string
	cmd := &cobra.Command{
		Use:   "send NAME",
		Short: "Publish an event and tell which runs it started",
		Example: `  stepwell send shop/order.placed --data '{"order":"o-1","total":42}'
  stepwell send shop/order.placed --data '{}' --id order-1   # again within 24 h starts nothing new`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !json.Valid([]byte(data)) {
				return fmt.Errorf(`--data is not valid JSON: %s. Quote it for the shell: --data '{"order":"o-1"}'`, data)
			}
			event := map[string]any{"name": args[0], "data": json.RawMessage(data)}
			if id != "" {
				event["id"] = id
			}
			return o.send(cmd, event)
		},
	}
	cmd.Flags().StringVar(&data, "data", "{}", "the event's data, a JSON object")
	cmd.Flags().StringVar(&id, "id", "", "your own id: the same one starts each function once within 24 h")
	o.addJSON(cmd)
	return cmd
}

func (o *options) send(cmd *cobra.Command, event map[string]any) error {
	c, out := o.client(), cmd.OutOrStdout()
	var published struct {
		IDs []string `json:"ids"`
	}
	if err := c.post(cmd.Context(), "/api/v1/events", event, &published); err != nil {
		return err
	}
	if len(published.IDs) != 1 {
		return fmt.Errorf("the server answered with %d event ids for one event", len(published.IDs))
	}
	var runs []struct {
		ID         string `json:"run_id"`
		FunctionID string `json:"function_id"`
		Status     string `json:"status"`
	}
	if err := c.get(cmd.Context(), "/v1/events/"+published.IDs[0]+"/runs", nil, &runs); err != nil {
		return err
	}
	ids := make([]string, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	if o.asJSON {
		return printJSON(out, map[string]any{"event_id": published.IDs[0], "run_ids": ids})
	}
	fmt.Fprintf(out, "event %s\n", published.IDs[0])
	for _, id := range ids {
		fmt.Fprintf(out, "run   %s   see it with: stepwell runs show %s --watch\n", id, id)
	}
	if len(ids) == 0 {
		fmt.Fprintln(out, "It started nothing: no function has a trigger that matches. `stepwell functions` lists them.")
	}
	return nil
}
