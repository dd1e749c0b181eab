package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func newRuns(o *options) *cobra.Command {
	var limit int
	var status, function string
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List runs, newest first",
		Example: `  stepwell runs --status Failed
  stepwell runs --function shop-order --limit 50 --json
  stepwell runs show`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if status != "" {
				query.Set("status", status)
			}
			if function != "" {
				query.Set("function", function)
			}
			var runs []run
			if err := o.client().get(cmd.Context(), "/api/v1/runs", query, &runs); err != nil {
				return err
			}
			if o.asJSON {
				return printJSON(cmd.OutOrStdout(), runs)
			}
			return printRuns(cmd.OutOrStdout(), runs, time.Now())
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many, at most 100")
	cmd.Flags().StringVar(&status, "status", "", "only Running, Completed, Failed, Cancelled or Skipped")
	cmd.Flags().StringVar(&function, "function", "", "only of this function, as `stepwell functions` names it")
	o.addJSON(cmd)
	cmd.AddCommand(newRunsShow(o))
	return cmd
}

func printRuns(out io.Writer, runs []run, now time.Time) error {
	if len(runs) == 0 {
		fmt.Fprintln(out, "No runs. Publish an event: stepwell send NAME --data '{}'")
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RUN\tFUNCTION\tSTATUS\tSTARTED\tTOOK\tEVENT")
	for _, r := range runs {
		end := r.EndedAt
		if !r.ended() {
			end = now
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s ago\t%s\t%s\n", r.ID, r.Function, r.Status,
			shortDuration(now.Sub(r.CreatedAt)), shortDuration(end.Sub(r.CreatedAt)), r.EventName)
	}
	return table.Flush()
}

func newRunsShow(o *options) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "show [RUN]",
		Short: "Show a run's steps and attempts on a timeline; the newest run if none is named",
		Example: `  stepwell runs show
  stepwell runs show 01JZ3V8Q2W5X6Y7Z8A9BCDEFGH --watch`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := o.client()
			id, err := runToShow(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			if o.asJSON && !watch {
				return showJSON(cmd, c, id)
			}
			return show(cmd.Context(), c, id, newScreen(cmd.OutOrStdout()), watch)
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "follow the run until it ends")
	o.addJSON(cmd)
	return cmd
}

// runToShow is the run that was named, or the newest.
func runToShow(ctx context.Context, c *client, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	var runs []run
	if err := c.get(ctx, "/api/v1/runs", url.Values{"limit": {"1"}}, &runs); err != nil {
		return "", err
	}
	if len(runs) == 0 {
		return "", errors.New("there are no runs. Publish an event: stepwell send NAME --data '{}'")
	}
	return runs[0].ID, nil
}

func showJSON(cmd *cobra.Command, c *client, id string) error {
	var r map[string]any
	if err := c.get(cmd.Context(), "/api/v1/runs/"+url.PathEscape(id), nil, &r); err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), r)
}

// watchInterval is how often a watched run is asked for.
const watchInterval = 150 * time.Millisecond

// show draws the run, and again whenever it changed, until it ends.
func show(ctx context.Context, c *client, id string, s *screen, watch bool) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		var r run
		if err := c.get(ctx, "/api/v1/runs/"+url.PathEscape(id), nil, &r); err != nil {
			return err
		}
		if err := s.draw(timeline(r, time.Now(), s.width), !watch || r.ended()); err != nil {
			return err
		}
		if !watch || r.ended() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// screen draws text over what it drew before, if it is a terminal.
type screen struct {
	out      io.Writer
	terminal bool
	width    int
	lines    int
}

// The width of lines: a terminal's, or what most logs show.
const (
	widthDefault = 110
	widthMin     = 60
)

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, width: widthDefault}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		s.terminal = true
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			s.width = max(width, widthMin)
		}
	}
	return s
}

// draw shows the lines. What is no terminal gets the last version only.
func (s *screen) draw(lines []string, last bool) error {
	if !s.terminal && !last {
		return nil
	}
	text := strings.Join(lines, "\n") + "\n"
	if s.terminal && s.lines > 0 {
		text = fmt.Sprintf("\x1b[%dA\x1b[J", s.lines) + text // up, and clear to the end
	}
	s.lines = len(lines)
	if _, err := io.WriteString(s.out, text); err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	return nil
}
