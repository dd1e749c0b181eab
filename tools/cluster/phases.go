package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed manifests/publisher.yaml
var publisherManifest string

//go:embed manifests/app.yaml
var appManifest string

// release is the name of the install, and what the names of its resources begin with.
const release = "stepwell"

// The bounds of what is waited for.
const (
	installWithin = 5 * time.Minute
	rollWithin    = 5 * time.Minute
	readyWithin   = 3 * time.Minute
	// settleFor is how long events are published before and after the cluster is shaken.
	settleFor = 5 * time.Second
)

// test is one test of a cluster.
type test struct {
	settings
	kube

	began time.Time
	rows  []row
}

// phase is a part of the test.
type phase struct {
	name string
	do   func(ctx context.Context) error
	// quiet phases have nothing published meanwhile, slow ones events whose runs take two seconds.
	quiet, slow bool
}

// row is what came of a phase.
type row struct {
	phase   string
	took    time.Duration
	stats   stats
	outcome outcome
}

// stats and outcome are what the publisher says; its package says what they mean.
type stats struct {
	Sent          int            `json:"sent"`
	Acked         int            `json:"acked"`
	Retries       map[string]int `json:"retries"`
	Errors        map[string]int `json:"errors"`
	SlowestMillis int64          `json:"slowest_ms"`
	LastProblem   string         `json:"last_problem"`
}

type outcome struct {
	Completed int    `json:"completed"`
	Lost      int    `json:"lost"`
	Doubled   int    `json:"doubled"`
	Wrong     int    `json:"wrong"`
	NotEnded  int    `json:"not_ended"`
	Unknown   int    `json:"unknown"`
	Example   string `json:"example"`
}

func (t *test) phases() []phase {
	phases := []phase{
		{name: "install", do: t.install, quiet: true},
		{name: "helm-test", do: t.helmTest, quiet: true},
		{name: "apps", do: t.startApps, quiet: true},
		{name: "e2e", do: t.endToEnd, quiet: true},
		{name: "steady", do: func(context.Context) error { return nil }},
		{name: "scale", do: t.scale},
	}
	if t.keda {
		phases = append(phases, phase{name: "keda", do: t.scaleByDueWork, slow: true})
	}
	phases = append(phases, []phase{
		{name: "upgrade", do: t.upgrade},
		{name: "rollback", do: t.rollback},
		{name: "kill-pods", do: t.killPods},
		{name: "kill-stores", do: t.killStores},
	}...)
	if t.killNode != "" {
		phases = append(phases, phase{name: "lose-node", do: t.loseNode})
	}
	return append(phases, phase{name: "uninstall", do: t.uninstall, quiet: true})
}

// play plays a phase, with events published before, during and after it, and looks at what became of them.
func (t *test) play(ctx context.Context, p phase) error {
	began := time.Now()
	fmt.Printf("=== %s\n", p.name)
	if p.quiet {
		err := p.do(ctx)
		fmt.Printf("=== %s: %s\n", p.name, time.Since(began).Round(time.Second))
		return err
	}
	r := row{phase: p.name}
	start := fmt.Sprintf("/start?rate=%d", t.rate)
	if p.slow {
		start += "&slow"
	}
	if err := t.ask(ctx, "POST", start, &r.stats); err != nil {
		return err
	}
	pause(ctx, settleFor)
	err := p.do(ctx)
	pause(ctx, settleFor)
	r.took = time.Since(began)
	if stopErr := t.ask(ctx, "POST", "/stop", &r.stats); stopErr != nil {
		return stopErr
	}
	if outcomeErr := t.ask(ctx, "GET", "/outcome", &r.outcome); outcomeErr != nil {
		return outcomeErr
	}
	t.rows = append(t.rows, r)
	fmt.Printf("=== %s: %s, %d sent, %d acked, %d completed\n", p.name, r.took.Round(time.Second), r.stats.Sent, r.stats.Acked, r.outcome.Completed)
	return err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// chart are the arguments of helm that say what is installed.
func (t *test) chart(version string) []string {
	args := []string{
		release, filepath.Join(t.root, "charts/stepwell"), "--wait", "--timeout", installWithin.String(),
		"--set", "image.tag=" + version,
		"--set-json", `eventApi.settings={"apps":{"urls":["http://kitchen-sink:3000/api/inngest"]}}`,
		"--set-json", `executor.settings={"executor":{"retry_interval":"1s"}}`,
		"--set-json", fmt.Sprintf(`runner.settings={"runner":{"queue_depth_max":%d}}`, queueDepthMax),
	}
	if t.values != "" {
		args = append(args, "--values", t.values)
	}
	return args
}

func (t *test) install(ctx context.Context) error {
	if _, err := do(ctx, nil, "kubectl", "create", "namespace", t.namespace); err != nil {
		return err
	}
	// What pods of ours, and those of the test, may do at most.
	if _, err := do(ctx, nil, "kubectl", "label", "namespace", t.namespace, "pod-security.kubernetes.io/enforce=restricted"); err != nil {
		return err
	}
	_, err := t.helm(ctx, append([]string{"install"}, t.chart(t.version)...)...)
	return err
}

func (t *test) helmTest(ctx context.Context) error {
	_, err := t.helm(ctx, "test", release, "--timeout", readyWithin.String())
	return err
}

// startApps starts the app and the publisher, where no node will be lost.
func (t *test) startApps(ctx context.Context) error {
	safe := ""
	if t.killNode != "" {
		node, err := t.storesNode(ctx)
		if err != nil {
			return err
		}
		safe = "kubernetes.io/hostname: " + node
	}
	names := strings.NewReplacer("$RELEASE", release, "$APP_IMAGE", t.appImage,
		"$PUBLISHER_IMAGE", "stepwell/publisher:"+t.version, "$SAFE_NODE", safe)
	for _, manifest := range []string{appManifest, publisherManifest} {
		if err := t.apply(ctx, names.Replace(manifest)); err != nil {
			return err
		}
	}
	for _, name := range []string{"deploy/kitchen-sink", "deploy/publisher"} {
		if err := t.rolledOut(ctx, name, readyWithin); err != nil {
			return err
		}
	}
	// An app is known when an event starts a run of it.
	return until(ctx, readyWithin, "the app is known", func() (bool, error) {
		var s stats
		var o outcome
		if err := t.ask(ctx, "POST", "/start?rate=1", &s); err != nil {
			return false, err
		}
		pause(ctx, 3*time.Second)
		if err := t.ask(ctx, "POST", "/stop", &s); err != nil {
			return false, err
		}
		err := t.ask(ctx, "GET", "/outcome?within=10s", &o)
		return o.Completed > 0, err
	})
}

// storesNode is the node of the bundled Postgres, whose volume may be there only.
func (t *test) storesNode(ctx context.Context) (string, error) {
	nodes, err := t.get(ctx, "{.items[*].spec.nodeName}", "pod", "--selector", "app.kubernetes.io/component=postgres")
	if err == nil && len(nodes) == 0 {
		err = errors.New("no pod of the bundled Postgres")
	}
	if err != nil {
		return "", err
	}
	return nodes[0], nil
}

func (t *test) pods(ctx context.Context, component string) ([]string, error) {
	return t.get(ctx, "{.items[*].metadata.name}", "pod", "--selector",
		"app.kubernetes.io/instance="+release+",app.kubernetes.io/component="+component)
}

func services() []string { return []string{"event-api", "runner", "executor", "state"} }

func (t *test) upgrade(ctx context.Context) error {
	if _, err := t.helm(ctx, append([]string{"upgrade"}, t.chart(t.next)...)...); err != nil {
		return err
	}
	return t.runs(ctx, t.next)
}

func (t *test) rollback(ctx context.Context) error {
	if _, err := t.helm(ctx, "rollback", release, "--wait", "--timeout", installWithin.String()); err != nil {
		return err
	}
	return t.runs(ctx, t.version)
}

// runs waits until all services are of the version, and no pod of another is left.
func (t *test) runs(ctx context.Context, version string) error {
	return until(ctx, rollWithin, "all pods are of "+version, func() (bool, error) {
		for _, service := range services() {
			images, err := t.get(ctx, "{.items[*].spec.containers[0].image}", "pod", "--selector",
				"app.kubernetes.io/instance="+release+",app.kubernetes.io/component="+service)
			other := func(image string) bool { return !strings.HasSuffix(image, ":"+version) }
			if err != nil || len(images) == 0 || slices.ContainsFunc(images, other) {
				return false, err
			}
		}
		return true, nil
	})
}

// uninstall removes the release. What is left is what the chart says it keeps.
func (t *test) uninstall(ctx context.Context) error {
	if _, err := t.helm(ctx, "uninstall", release, "--wait", "--timeout", installWithin.String()); err != nil {
		return err
	}
	return until(ctx, readyWithin, "all pods are gone", func() (bool, error) {
		pods, err := t.get(ctx, "{.items[*].metadata.name}", "pod", "--selector", "app.kubernetes.io/instance="+release)
		return len(pods) == 0, err
	})
}

// clean removes the namespace, with all that is in it.
func (t *test) clean(ctx context.Context) {
	if _, err := do(ctx, nil, "kubectl", "delete", "namespace", t.namespace, "--ignore-not-found", "--wait=false"); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
	}
}

// explain prints what helps to understand a failure.
func (t *test) explain(ctx context.Context) {
	for _, args := range [][]string{
		{"get", "pods", "-o", "wide"},
		{"get", "events", "--sort-by=.lastTimestamp"},
		{"logs", "--selector", "app.kubernetes.io/instance=" + release, "--prefix", "--tail=30", "--max-log-requests=60"},
	} {
		out, err := t.kubectl(ctx, args...)
		fmt.Fprintf(os.Stderr, "--- kubectl %s\n%s\n", strings.Join(args, " "), out)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
