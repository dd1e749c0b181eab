package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// scale takes the executors up and down again, while they work.
func (t *test) scale(ctx context.Context) error {
	for _, count := range []int{t.executorsMax, 2} {
		if _, err := t.kubectl(ctx, "scale", "deploy/"+release+"-executor", "--replicas", strconv.Itoa(count)); err != nil {
			return err
		}
		if err := t.rolledOut(ctx, "deploy/"+release+"-executor", rollWithin); err != nil {
			return err
		}
		fmt.Printf("    %d executors\n", count)
		pause(ctx, settleFor)
	}
	return t.gone(ctx, "executor", 2)
}

// gone waits until a service has no more pods than that.
func (t *test) gone(ctx context.Context, component string, most int) error {
	return until(ctx, rollWithin, component+": old pods end", func() (bool, error) {
		pods, err := t.pods(ctx, component)
		return len(pods) <= most, err
	})
}

// kedaScales has KEDA scale executors that are small, so that little work is much.
const kedaScales = `{
	"workers": 2, "settings": {"executor": {"retry_interval": "1s"}},
	"autoscaling": {"kind": "keda", "minReplicas": 2, "maxReplicas": %d, "keda": {
		"pollingInterval": 5, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}}
	}}
}`

// scaleByDueWork has KEDA scale the executors: up while more is published than two can do, down when it is not.
func (t *test) scaleByDueWork(ctx context.Context) error {
	keda := append(t.chart(t.version), "--set-json", "executor="+fmt.Sprintf(kedaScales, t.executorsMax))
	if _, err := t.helm(ctx, append([]string{"upgrade"}, keda...)...); err != nil {
		return err
	}
	if err := t.executorsBecome(ctx, t.executorsMax); err != nil {
		return err
	}
	var s stats
	if err := t.ask(ctx, "POST", "/rate?rate=1", &s); err != nil {
		return err
	}
	if err := t.executorsBecome(ctx, 2); err != nil {
		return err
	}
	if err := t.gone(ctx, "executor", 2); err != nil {
		return err
	}
	_, err := t.helm(ctx, append([]string{"upgrade"}, t.chart(t.version)...)...)
	return err
}

// executorsBecome waits until there are so many, all ready.
func (t *test) executorsBecome(ctx context.Context, count int) error {
	began, wanted := time.Now(), strconv.Itoa(count)
	err := until(ctx, rollWithin, wanted+" executors", func() (bool, error) {
		counts, err := t.get(ctx, "{.spec.replicas} {.status.readyReplicas}", "deploy", release+"-executor")
		return slices.Equal(counts, []string{wanted, wanted}), err
	})
	if err == nil {
		fmt.Printf("    %d executors after %s\n", count, time.Since(began).Round(time.Second))
	}
	return err
}
