// Command cluster tests Stepwell in the Kubernetes cluster that KUBECONFIG names: it installs the chart with its bundled
// stores, runs the end-to-end tests against it, and shakes it while a pod publishes events over gRPC: it scales, upgrades,
// rolls back, kills pods and nodes. Every acked event must come to one run that completes.
//
// It must not know more of Stepwell than its chart, its API and its gRPC door say. It needs kubectl and helm.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// settings are what the command line says.
type settings struct {
	root, namespace string
	version, next   string
	appImage        string
	rate            int
	executorsMax    int
	values          string
	killNode        string
	reviveNode      string
	only            string
	keep            bool
	keda            bool
}

const usage = `cluster tests Stepwell in the cluster that KUBECONFIG names, with images that the cluster has:

  cluster --version 0.1.0 --next 0.1.1 --app-image stepwell/kitchen-sink:0.1.0

make cluster-test makes the images and calls it.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "cluster:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	t := &test{settings: s, kube: kube{in: s.namespace}, began: time.Now()}
	if !s.keep {
		defer t.clean(context.WithoutCancel(ctx))
	}
	for _, phase := range t.phases() {
		if s.only != "" && !slices.Contains(strings.Split(s.only, ","), phase.name) {
			continue
		}
		if err := t.play(ctx, phase); err != nil {
			err = errors.Join(err, t.show())
			t.explain(context.WithoutCancel(ctx))
			return fmt.Errorf("%s: %w", phase.name, err)
		}
	}
	return t.show()
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage); flags.PrintDefaults() }
	flags.StringVar(&s.root, "root", ".", "the repository")
	flags.StringVar(&s.namespace, "namespace", "stepwell-test", "namespace of the test, which it makes and removes")
	flags.StringVar(&s.version, "version", "", "tag of the images to install")
	flags.StringVar(&s.next, "next", "", "tag of the images to upgrade to")
	flags.StringVar(&s.appImage, "app-image", "", "image of the kitchen-sink app")
	flags.StringVar(&s.values, "values", "", "file with more values for the chart; optional")
	flags.IntVar(&s.rate, "rate", 20, "events per second while the cluster is shaken")
	flags.IntVar(&s.executorsMax, "executors", 20, "how many executors it scales to")
	flags.StringVar(&s.killNode, "kill-node", "", "command that takes the power from the node that is named after it; without it no node is lost")
	flags.StringVar(&s.reviveNode, "revive-node", "", "command that brings the node back")
	flags.BoolVar(&s.keda, "keda", false, "the cluster has KEDA: let it scale the executors")
	flags.StringVar(&s.only, "only", "", "names of phases, with commas between, for who works on one; the others must have been played with --keep")
	flags.BoolVar(&s.keep, "keep", false, "leave everything as it is at the end")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.version == "" || s.next == "" || s.appImage == "" {
		return s, errors.New("--version, --next and --app-image are needed; see --help, or use make cluster-test")
	}
	return s, nil
}

// show prints what came of the phases. It is an error if an event was lost, or something else that must not be.
func (t *test) show() error {
	fmt.Printf("\n%s in all\n", time.Since(t.began).Round(time.Second))
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "phase\ttook\tsent\tacked\tretries\terrors\tslowest ms\tcompleted\tlost\tdoubled\twrong\tnot ended\tunknown\t")
	var broken []string
	for _, r := range t.rows {
		s, o := r.stats, r.outcome
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", r.phase, r.took.Round(time.Second),
			s.Sent, s.Acked, sum(s.Retries), sum(s.Errors), s.SlowestMillis,
			o.Completed, o.Lost, o.Doubled, o.Wrong, o.NotEnded, o.Unknown)
		if sum(s.Errors) > 0 || o.Completed != s.Acked || s.Acked != s.Sent {
			broken = append(broken, fmt.Sprintf("%s (errors %v, retries %v, last problem %q, an event: %q)",
				r.phase, s.Errors, s.Retries, s.LastProblem, o.Example))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range t.rows {
		if len(r.stats.Retries) > 0 {
			fmt.Printf("%s: attempts that publishers made again: %v, the last of them: %s\n", r.phase, r.stats.Retries, r.stats.LastProblem)
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("the promise is broken in %s", strings.Join(broken, "; "))
	}
	return nil
}

func sum(counts map[string]int) int {
	total := 0
	for _, n := range counts {
		total += n
	}
	return total
}
