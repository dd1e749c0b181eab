package daemon

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepwell/stepwell/services/internal/config"
)

const (
	// askTimeout bounds a question to a probe.
	askTimeout = 5 * time.Second
	// answerMax bounds how much of the answer is shown, in bytes.
	answerMax = 4 << 10
)

// ProbeCommand is the command that asks the program that runs on the same machine for one of its probes. It is for health
// checks of container engines: images have neither a shell nor an HTTP client. Of the settings only probe_address is
// needed.
func (p Program) ProbeCommand() *cobra.Command {
	p.only = []string{"probe_address"}
	command := &cobra.Command{
		Use: "probe", Short: "Ask the program that runs here whether it is ready; exits with 0 if it is",
		Long: "Ask the program that runs here for one of its probes, at probe_address, which both must have.\n\n" +
			"Exits with 0 if the answer is 200, with 1 otherwise. For health checks where there is no curl.",
		Example: "  " + commandPath(p.Use) + "probe --probe-address :8090\n" +
			"  " + commandPath(p.Use) + "probe --probe-address :8090 --path /livez",
	}
	path := command.Flags().String("path", "/readyz", "the probe to ask: /readyz or /livez")
	return p.command(command, func(cmd *cobra.Command, _ *config.Settings) error {
		return p.ask(cmd, *path)
	})
}

func (p Program) ask(cmd *cobra.Command, path string) error {
	if p.Common.ProbeAddress == "" {
		return errors.New("probe_address is empty: give this command and the program the same one, such as :8090")
	}
	host, port, err := net.SplitHostPort(p.Common.ProbeAddress)
	if err != nil {
		return fmt.Errorf("probe_address: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // who listens at all addresses does so there, too
	}
	request, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, "http://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return fmt.Errorf("--path: %w", err)
	}
	client := http.Client{Timeout: askTimeout, Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerMax))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	said := strings.TrimSpace(string(answer))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d %s", path, response.StatusCode, said)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
	return err
}
