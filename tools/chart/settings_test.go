package chart_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// settings are the environment variables that each program knows, of the tables in docs/configuration.md, which are
// compared with the programs elsewhere.
func settings(t *testing.T) map[string]map[string]bool {
	t.Helper()
	known := map[string]map[string]bool{}
	table := regexp.MustCompile(`(?s)<!-- settings of ([a-z-]+): generated.*?<!-- end of settings -->`)
	row := regexp.MustCompile("(?m)^\\| `[a-z_.]+` \\| `(STEPWELL_[A-Z_]+)`.*?\\| `--[^|]*\\| ([a-z ]+) \\|")
	for _, program := range table.FindAllStringSubmatch(read(t, "../../docs/configuration.md"), -1) {
		known[program[1]] = map[string]bool{}
		for _, setting := range row.FindAllStringSubmatch(program[0], -1) {
			known[program[1]][setting[1]] = true
			if strings.Contains(setting[2], "secret") {
				known[program[1]][setting[1]+"_FILE"] = true
			}
		}
	}
	return known
}

// TestEveryVariableIsASetting of its program, which refuses what it does not know.
func TestEveryVariableIsASetting(t *testing.T) {
	t.Parallel()
	known := settings(t)
	for _, program := range []string{"event-api", "runner", "executor", "state"} {
		require.NotEmpty(t, known[program], program)
	}
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		for _, p := range pods(resources) {
			program := p.Labels["app.kubernetes.io/component"]
			if program == "migrate" {
				program = "state"
			}
			for _, env := range p.Spec.Containers[0].Env {
				if !strings.HasPrefix(env.Name, "STEPWELL_") || program == "test" {
					continue
				}
				require.True(t, known[program][env.Name], "%s does not know %s", program, env.Name)
			}
		}
	})
}

// TestSettingsThatTheChartMakesAreRefused, since one of the two would be without effect.
func TestSettingsThatTheChartMakesAreRefused(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, renderError(t, "state: {settings: {network: {state: elsewhere:9000}}}"),
		"settings of state: STEPWELL_NETWORK_STATE is made by the chart, from a value of its own")
}

// TestSettingsBecomeVariables, whatever form a value has.
func TestSettingsBecomeVariables(t *testing.T) {
	t.Parallel()
	env := environment(t, "executor", `executor: {settings: {
		executor: {circuit_failures_max: 1000000, call_timeout: 1h30m}, redis: {connections: 8}, a: {b: {c: [x, "y,z"], d: true, e: 0.5}}}}`)
	require.Equal(t, "1000000", env["STEPWELL_EXECUTOR_CIRCUIT_FAILURES_MAX"], "not 1e+06")
	require.Equal(t, "1h30m", env["STEPWELL_EXECUTOR_CALL_TIMEOUT"])
	require.Equal(t, "8", env["STEPWELL_REDIS_CONNECTIONS"])
	require.Equal(t, "x,y,z", env["STEPWELL_A_B_C"])
	require.Equal(t, "true", env["STEPWELL_A_B_D"])
	require.Equal(t, "0.5", env["STEPWELL_A_B_E"])
}

// environment are the variables of a program, with these values.
func environment(t *testing.T, program, values string) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, p := range pods(render(t, parse(t, values))) {
		if p.Labels["app.kubernetes.io/component"] == program {
			for _, variable := range p.Spec.Containers[0].Env {
				env[variable.Name] = variable.Value
			}
		}
	}
	require.NotEmpty(t, env)
	return env
}

// TestAddressesOfStores that are made of parts. A password is never in a value.
func TestAddressesOfStores(t *testing.T) {
	t.Parallel()
	state := environment(t, "state", read(t, "testdata/values/external.yaml"))
	require.Equal(t, "postgres://step%40well@postgres.example.com:5432/stepwell?sslmode=verify-full&sslrootcert=/etc/stepwell/postgres-ca/ca.crt",
		state["STEPWELL_DATABASE_URL"])
	require.Equal(t, "postgres://step%40well@replica.example.com:5432/stepwell?sslmode=verify-full&sslrootcert=/etc/stepwell/postgres-ca/ca.crt",
		state["STEPWELL_DATABASE_READ_URL"])
	require.Contains(t, state, "PGPASSWORD")
	require.Equal(t, "rediss://stepwell:$(REDIS_PASSWORD)@redis.example.com:6380/0",
		environment(t, "runner", read(t, "testdata/values/external.yaml"))["STEPWELL_REDIS_URL"])
	for values, url := range map[string]string{
		"{host: r, tls: false}":                          "redis://r:6379/0",
		"{host: r, user: u, database: 3}":                "rediss://u@r:6379/3",
		"{host: r, passwordSecret: {name: p, key: key}}": "rediss://:$(REDIS_PASSWORD)@r:6379/0",
	} {
		require.Equal(t, url, environment(t, "executor", "redis: {kind: external, external: "+values+"}")["STEPWELL_REDIS_URL"])
	}
}

// TestVariablesComeAfterWhatTheyName: Kubernetes expands $(NAME) only of variables before.
func TestVariablesComeAfterWhatTheyName(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		for _, p := range pods(resources) {
			for _, c := range p.containers() {
				before := map[string]bool{}
				for _, env := range c.Env {
					for _, named := range regexp.MustCompile(`\$\(([A-Z_]+)\)`).FindAllStringSubmatch(env.Value, -1) {
						require.True(t, before[named[1]], "%s: %s", p.Name, env.Name)
					}
					require.False(t, before[env.Name], "%s: %s is there twice", p.Name, env.Name)
					before[env.Name] = true
				}
			}
		}
	})
}

// TestFilesThatVariablesNameAreMounted.
func TestFilesThatVariablesNameAreMounted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		for _, p := range pods(resources) {
			for _, c := range p.containers() {
				for _, env := range c.Env {
					for _, path := range regexp.MustCompile(`/etc/stepwell/[^&\s]+`).FindAllString(env.Value, -1) {
						require.True(t, mounted(p, c, path), "%s: %s: %s", p.Name, env.Name, path)
					}
				}
			}
		}
	})
}

func mounted(p pod, c corev1.Container, path string) bool {
	for _, mount := range c.VolumeMounts {
		if mount.MountPath == path {
			return true
		}
		file, below := strings.CutPrefix(path, mount.MountPath+"/")
		for _, volume := range p.Spec.Volumes {
			if !below || volume.Name != mount.Name || volume.Secret == nil {
				continue
			}
			for _, item := range volume.Secret.Items {
				if item.Path == file {
					return true
				}
			}
		}
	}
	return false
}

// TestMemoryLimitIsToldToGo: nine tenths of it.
func TestMemoryLimitIsToldToGo(t *testing.T) {
	t.Parallel()
	for limit, told := range map[string]string{"512Mi": "460MiB", "2Gi": "1843MiB", "1G": ""} {
		require.Equal(t, told, environment(t, "state", "state: {resources: {limits: {memory: "+limit+"}}}")["GOMEMLIMIT"], limit)
	}
}

// TestPortsAreWhereProgramsListen.
func TestPortsAreWhereProgramsListen(t *testing.T) {
	t.Parallel()
	listeners := map[string]string{
		"probes": "STEPWELL_PROBE_ADDRESS", "admin": "STEPWELL_ADMIN_ADDRESS", "grpc": "STEPWELL_NETWORK_LISTEN",
		"scaler": "STEPWELL_SCALER_ADDRESS", "http": "STEPWELL_PORT",
	}
	each(t, func(t *testing.T, _ map[string]any, resources []resource) {
		for _, deployment := range of[*appsv1.Deployment](resources) {
			c := deployment.Spec.Template.Spec.Containers[0]
			env := map[string]string{}
			for _, variable := range c.Env {
				env[variable.Name] = strings.TrimPrefix(variable.Value, ":")
			}
			if c.Name == "event-api" {
				env["STEPWELL_NETWORK_LISTEN"] = env["STEPWELL_GRPC_PORT"] // it serves nobody but the public
			}
			want, got := map[string]string{}, map[string]string{}
			for port, setting := range listeners {
				if env[setting] != "" {
					want[port] = env[setting]
				}
			}
			for _, port := range c.Ports {
				got[port.Name] = strconv.Itoa(int(port.ContainerPort))
			}
			require.Equal(t, want, got, deployment.Name)
		}
	})
}
