package main

import (
	"context"
	"fmt"
	"slices"
)

// killPods kills a pod of each service, without a word.
func (t *test) killPods(ctx context.Context) error {
	for _, service := range services() {
		pods, err := t.pods(ctx, service)
		if err != nil || len(pods) == 0 {
			return fmt.Errorf("%s has no pods: %w", service, err)
		}
		if err := t.kill(ctx, pods[0]); err != nil {
			return err
		}
		if err := t.rolledOut(ctx, "deploy/"+release+"-"+service, rollWithin); err != nil {
			return err
		}
		pause(ctx, settleFor)
	}
	return nil
}

func (t *test) kill(ctx context.Context, pod string) error {
	_, err := t.kubectl(ctx, "delete", "pod", pod, "--grace-period=0", "--force", "--wait=false")
	fmt.Printf("    %s killed\n", pod)
	return err
}

// killStores kills Redis, then Postgres.
func (t *test) killStores(ctx context.Context) error {
	for _, store := range []string{"redis", "postgres"} {
		pods, err := t.pods(ctx, store)
		if err != nil || len(pods) == 0 {
			return fmt.Errorf("%s has no pods: %w", store, err)
		}
		if err := t.kill(ctx, pods[0]); err != nil {
			return err
		}
		pause(ctx, settleFor)
		if err := t.rolledOut(ctx, "statefulset/"+release+"-"+store, rollWithin); err != nil {
			return err
		}
	}
	for _, service := range services() {
		if err := t.rolledOut(ctx, "deploy/"+release+"-"+service, rollWithin); err != nil {
			return err
		}
	}
	return nil
}

// loseNode takes the power from a node that has no store and no part of the control plane, and waits until its pods are
// elsewhere.
func (t *test) loseNode(ctx context.Context) error {
	safe, err := t.storesNode(ctx)
	if err != nil {
		return err
	}
	nodes, err := t.get(ctx, "{.items[*].metadata.name}", "node", "--selector", "!node-role.kubernetes.io/control-plane")
	if err != nil {
		return err
	}
	redis, err := t.get(ctx, "{.items[*].spec.nodeName}", "pod", "--selector", "app.kubernetes.io/component=redis")
	if err != nil {
		return err
	}
	lost := ""
	for _, node := range slices.Backward(nodes) {
		if node != safe && !slices.Contains(redis, node) {
			lost = node
			break
		}
	}
	if lost == "" {
		return fmt.Errorf("every one of the nodes %v has a store: none can be lost", nodes)
	}
	if _, err := do(ctx, nil, "sh", "-c", t.killNode+" "+lost); err != nil {
		return err
	}
	fmt.Printf("    %s lost\n", lost)
	err = until(ctx, rollWithin, "nothing runs on "+lost, func() (bool, error) {
		for _, service := range services() {
			ready, err := t.get(ctx, "{.status.readyReplicas}", "deploy", release+"-"+service)
			wanted, wantedErr := t.get(ctx, "{.spec.replicas}", "deploy", release+"-"+service)
			if err != nil || wantedErr != nil || !slices.Equal(ready, wanted) {
				return false, err
			}
		}
		status, err := t.get(ctx, `{.status.conditions[?(@.type=="Ready")].status}`, "node", lost)
		return len(status) == 1 && status[0] != "True", err
	})
	if err != nil || t.reviveNode == "" {
		return err
	}
	_, err = do(ctx, nil, "sh", "-c", t.reviveNode+" "+lost)
	return err
}
