package compose_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

// deploy is the folder of what is tested.
const deploy = "../../deploy"

// programs are our own, by the service that runs them, with the folder they are compiled from.
var programs = map[string]string{
	"migrate": "./services/state/cmd/state", "state": "./services/state/cmd/state",
	"runner": "./services/runner/cmd/runner", "executor": "./services/executor/cmd/executor",
	"event-api": "./services/event-api/cmd/event-api",
}

// load reads the Compose file as `docker compose` does, in a copy of the folder with secrets in it. It returns the
// project and that folder.
func load(t *testing.T, profiles ...string) (*types.Project, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deploy")
	require.NoError(t, os.CopyFS(dir, os.DirFS(deploy)))
	makeSecrets(t, filepath.Join(dir, "secrets"))
	options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "compose.yaml")},
		cli.WithProfiles(profiles), cli.WithResolvedPaths(true), cli.WithEnv(nil))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project, dir
}

func makeSecrets(t *testing.T, dir string) {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), filepath.Join(deploy, "secrets.sh"), dir).CombinedOutput()
	require.NoError(t, err, string(said))
}

func TestServicesThatRun(t *testing.T) {
	t.Parallel()
	project, _ := load(t)
	require.ElementsMatch(t, []string{
		"postgres", "redis", "migrate", "state", "runner", "executor", "event-api", "example",
	}, project.ServiceNames(), "without a profile")
	require.Equal(t, 2, *project.Services["executor"].Scale)
	observed, _ := load(t, "observability")
	require.Subset(t, observed.ServiceNames(), []string{"otel-collector", "jaeger", "prometheus", "grafana"})
}

// TestEverythingNamedIsThere: networks, volumes, secrets and conditions are checked by the library; what is mounted from
// this folder is not.
func TestEverythingNamedIsThere(t *testing.T) {
	t.Parallel()
	project, _ := load(t, "observability")
	for _, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				require.DirExists(t, volume.Source, service.Name)
			}
		}
		if service.Build != nil {
			require.FileExists(t, filepath.Join("../..", service.Build.Dockerfile), service.Name)
			require.Contains(t, service.Image, "stepwell/"+*service.Build.Args["SERVICE"]+":", service.Name)
		}
	}
	for name, secret := range project.Secrets {
		about, err := os.Stat(secret.File)
		require.NoError(t, err, name)
		require.Equal(t, os.FileMode(0o644), about.Mode(), "other users read it, in containers: %s", name)
	}
}

// TestOurProgramsAreHeldSmall: they may do nothing that they need not.
func TestOurProgramsAreHeldSmall(t *testing.T) {
	t.Parallel()
	project, _ := load(t)
	for name := range programs {
		service := project.Services[name]
		require.True(t, service.ReadOnly, name)
		require.Equal(t, []string{"ALL"}, service.CapDrop, name)
		require.Contains(t, service.SecurityOpt, "no-new-privileges:true", name)
		require.Positive(t, service.MemLimit, name)
	}
	for name, service := range project.Services {
		for _, port := range service.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, "%s is for this machine only", name)
		}
	}
	require.Equal(t, []string{"store"}, networks(project, "postgres"))
	require.Equal(t, []string{"inside"}, networks(project, "redis"))
	require.Equal(t, []string{"apps"}, networks(project, "example"), "apps reach neither")
	require.True(t, project.Networks["store"].Internal)
	require.True(t, project.Networks["inside"].Internal)
}

func networks(project *types.Project, service string) []string {
	return slices.Sorted(maps.Keys(project.Services[service].Networks))
}

// TestProgramsTakeTheirSettings asks each program, with the environment and secrets of its service: one that is no setting
// would keep it from starting.
func TestProgramsTakeTheirSettings(t *testing.T) {
	t.Parallel()
	project, dir := load(t)
	for name, folder := range programs {
		service := project.Services[name]
		arguments := []string{"config"}
		if slices.Equal(service.Command, []string{"migrate"}) {
			arguments = []string{"migrate", "--help"} // needs Postgres for more
		}
		out, err := program(t, folder, dir, service, arguments...)
		require.NoError(t, err, "%s: %s", name, out)
		if arguments[0] != "config" {
			continue
		}
		require.Contains(t, out, "probe_address: :8090 # environment variable STEPWELL_PROBE_ADDRESS", name)
		for _, secret := range service.Secrets {
			require.Contains(t, out, filepath.Join(dir, "secrets", secret.Source), "%s uses %s", name, secret.Source)
		}
		require.Equal(t, types.HealthCheckTest{"CMD", "/usr/local/bin/" + name, "probe"}, service.HealthCheck.Test)
		out, err = program(t, folder, dir, service, "probe", "--probe-address", "127.0.0.1:1")
		require.ErrorContains(t, err, "exit status 1", name)
		require.Contains(t, out, "connection refused", "it asks, and needs no other setting: %s", name)
	}
}

// program runs one of our programs as its service does, and returns what it said.
func program(t *testing.T, folder, dir string, service types.ServiceConfig, arguments ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", append([]string{"run", folder}, arguments...)...)
	command.Dir = "../.."
	command.Env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "STEPWELL_") || strings.HasPrefix(variable, "GOWORK=")
	}), "PWD="+filepath.Dir(dir))
	for key, value := range service.Environment {
		require.NotNil(t, value, key)
		command.Env = append(command.Env, key+"="+strings.ReplaceAll(*value, "/run/secrets", filepath.Join(dir, "secrets")))
	}
	said, err := command.CombinedOutput()
	return string(said), err
}

// TestSecretsAreMadeOnce: a second call changes nothing, and no two installs have the same.
func TestSecretsAreMadeOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "secrets")
	makeSecrets(t, dir)
	before := read(t, dir)
	makeSecrets(t, dir)
	require.Equal(t, before, read(t, dir))
	about, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o700, about.Mode(), "the folder keeps others out")
	other := filepath.Join(t.TempDir(), "secrets")
	makeSecrets(t, other)
	random := regexp.MustCompile(`[0-9a-f]{64}`)
	for name, content := range read(t, other) {
		require.Regexp(t, random, content, name)
		require.NotEqual(t, before[name], content, name)
	}
	require.Contains(t, before["database_url"], strings.TrimSpace(before["postgres_password"]))
	require.Contains(t, before["redis_url"], random.FindString(before["redis_config"]))
	require.Contains(t, before["example.env"], "INNGEST_SIGNING_KEY="+before["signing_keys"])
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	found, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, file := range found {
		content, err := os.ReadFile(filepath.Join(dir, file.Name()))
		require.NoError(t, err)
		files[file.Name()] = string(content)
	}
	return files
}
