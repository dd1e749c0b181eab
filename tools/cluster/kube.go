package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// kube asks a cluster by its command-line tools, as people do.
type kube struct{ in string }

// commandTimeout bounds a command; those that wait for something have bounds of their own, below it.
const commandTimeout = 15 * time.Minute

// do runs a command. Its output is part of the error, if there is one.
func do(ctx context.Context, input io.Reader, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...) // #nosec G204 -- tools of who calls the test
	command.Stdin = input
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out.String(), problems.String())
	}
	return out.String(), nil
}

func (k kube) kubectl(ctx context.Context, args ...string) (string, error) {
	return do(ctx, nil, "kubectl", append([]string{"--namespace", k.in}, args...)...)
}

func (k kube) helm(ctx context.Context, args ...string) (string, error) {
	return do(ctx, nil, "helm", append([]string{"--namespace", k.in}, args...)...)
}

func (k kube) apply(ctx context.Context, manifest string) error {
	_, err := do(ctx, strings.NewReader(manifest), "kubectl", "--namespace", k.in, "apply", "-f", "-")
	return err
}

// get is one field of resources, one on a line.
func (k kube) get(ctx context.Context, jsonpath string, args ...string) ([]string, error) {
	out, err := k.kubectl(ctx, append(append([]string{"get"}, args...), "-o", "jsonpath="+jsonpath)...)
	return strings.Fields(out), err
}

// rolledOut waits until a deployment is as it should be.
func (k kube) rolledOut(ctx context.Context, what string, within time.Duration) error {
	_, err := k.kubectl(ctx, "rollout", "status", what, "--timeout", within.String())
	return err
}

// ask asks the publisher in its pod.
func (k kube) ask(ctx context.Context, method, path string, answer any) error {
	out, err := k.kubectl(ctx, "exec", "deploy/publisher", "--", "publisher", "ask", method, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), answer); err != nil {
		return fmt.Errorf("read the publisher's answer: %w: %s", err, out)
	}
	return nil
}

// until asks until it is so.
func until(ctx context.Context, within time.Duration, what string, is func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for {
		ok, err := is()
		if ok && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s: not within %s", what, within), err)
		case <-ticker.C:
		}
	}
}
