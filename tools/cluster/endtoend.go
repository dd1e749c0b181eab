package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// queueDepthMax is how many items of a function may wait. One of the end-to-end tests fills a queue; what is published while
// everything is killed and nothing goes on is less.
const queueDepthMax = 2000

// endToEnd runs the end-to-end tests against the release and the app in its pod.
func (t *test) endToEnd(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server, err := t.reach(ctx, release+"-event-api", 8080)
	if err != nil {
		return err
	}
	app, err := t.reach(ctx, "kitchen-sink", 3000)
	if err != nil {
		return err
	}
	eventKey, err := t.secret(ctx, "event-keys")
	if err != nil {
		return err
	}
	signingKey, err := t.secret(ctx, "signing-keys")
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", "test", "-C", filepath.Join(t.root, "tools/e2e"), "-tags", "cluster", "-count=1", // #nosec G204 -- the repository's own tests
		"-v", "-run", "^TestCluster$", "-timeout", commandTimeout.String(), ".")
	command.Env = append(os.Environ(), "GOWORK=off", "E2E_SERVER_URL="+server, "E2E_APP_URL="+app,
		"E2E_EVENT_KEY="+eventKey, "E2E_SIGNING_KEY="+signingKey,
		"E2E_QUEUE_DEPTH_MAX="+strconv.Itoa(queueDepthMax))
	out, err := command.CombinedOutput()
	passed, failed := 0, 0
	for line := range strings.Lines(string(out)) {
		switch {
		case strings.HasPrefix(line, "    --- PASS"):
			passed++
		case strings.HasPrefix(line, "    --- FAIL"):
			failed++
		}
	}
	fmt.Printf("    scenarios with the JavaScript SDK: %d passed, %d failed\n", passed, failed)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// secret is the first of the keys of the release.
func (t *test) secret(ctx context.Context, key string) (string, error) {
	values, err := t.get(ctx, "{.data."+key+"}", "secret", release+"-keys")
	if err != nil || len(values) != 1 {
		return "", fmt.Errorf("secret %s-keys has no %s: %w", release, key, err)
	}
	text, err := base64.StdEncoding.DecodeString(values[0])
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return first, err
}

// reach is the URL of a Service for this machine: its own if there is a way to it, else a forwarded port.
func (t *test) reach(ctx context.Context, service string, port int) (url string, _ error) {
	addresses, err := t.get(ctx, "{.spec.clusterIP}", "service", service)
	if err != nil {
		return "", err
	}
	if len(addresses) == 1 {
		dialer := net.Dialer{Timeout: 2 * time.Second}
		address := net.JoinHostPort(addresses[0], strconv.Itoa(port))
		if conn, err := dialer.DialContext(ctx, "tcp", address); err == nil {
			return "http://" + address, conn.Close()
		}
	}
	return t.forward(ctx, "svc/"+service, port)
}

// forward makes a port of the cluster one of this machine, until ctx ends.
func (t *test) forward(ctx context.Context, what string, port int) (url string, _ error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return "", err
	}
	_, local, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "kubectl", "--namespace", t.namespace, "port-forward", what, // #nosec G204 -- our own names
		local+":"+strconv.Itoa(port))
	if err := command.Start(); err != nil {
		return "", err
	}
	go func() { _ = command.Wait() }() // ctx ends it
	return "http://" + address, until(ctx, readyWithin, "port of "+what, func() (bool, error) {
		dialer := net.Dialer{}
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return true, conn.Close()
	})
}
