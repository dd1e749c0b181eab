package compose_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	_ "github.com/prometheus/prometheus/discovery/dns" // which reads its part of the file
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestPrometheusReadsItsFiles, and fetches from every replica of every service.
func TestPrometheusReadsItsFiles(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(deploy, "prometheus")
	settings, err := config.LoadFile(filepath.Join(folder, "prometheus.yaml"), false, promslog.NewNopLogger())
	require.NoError(t, err)
	jobs, err := settings.GetScrapeConfigs()
	require.NoError(t, err)
	project, _ := load(t, "observability")
	for _, job := range jobs {
		if job.JobName != "stepwell" {
			continue
		}
		var names []string
		content, err := yaml.Marshal(job.ServiceDiscoveryConfigs[0])
		require.NoError(t, err)
		var found struct{ Names []string }
		require.NoError(t, yaml.Unmarshal(content, &found))
		names = append(names, found.Names...)
		for name := range programs {
			if name != "migrate" {
				require.Contains(t, names, name)
				require.Equal(t, ":9090", *project.Services[name].Environment["STEPWELL_ADMIN_ADDRESS"])
			}
		}
		require.Equal(t, "/run/secrets/admin_token", job.HTTPClientConfig.Authorization.CredentialsFile)
	}
	rules, err := filepath.Glob(filepath.Join(folder, "alerts*.yaml"))
	require.NoError(t, err)
	for _, file := range rules {
		_, problems := rulefmt.ParseFile(file, false, model.UTF8Validation)
		require.Empty(t, problems, file)
	}
}

// TestCollectorHasWhatItsPipelinesName and nothing that no pipeline uses.
func TestCollectorHasWhatItsPipelinesName(t *testing.T) {
	t.Parallel()
	var settings struct {
		Receivers, Processors, Exporters map[string]any
		Service                          struct {
			Pipelines map[string]struct{ Receivers, Processors, Exporters []string }
		}
	}
	decode(t, "otel/collector.yaml", &settings)
	used := map[string][]string{}
	for name, pipeline := range settings.Service.Pipelines {
		require.Contains(t, []string{"traces", "metrics"}, name)
		used["receivers"] = append(used["receivers"], pipeline.Receivers...)
		used["processors"] = append(used["processors"], pipeline.Processors...)
		used["exporters"] = append(used["exporters"], pipeline.Exporters...)
		require.Equal(t, "memory_limiter", pipeline.Processors[0], "it can only refuse what nobody has taken yet")
	}
	for kind, defined := range map[string]map[string]any{
		"receivers": settings.Receivers, "processors": settings.Processors, "exporters": settings.Exporters,
	} {
		slices.Sort(used[kind])
		require.Equal(t, slices.Sorted(maps.Keys(defined)), slices.Compact(used[kind]), kind)
	}
}

// TestGrafanaFindsItsSources: what it is provisioned with are services of the Compose file, and its dashboards name only
// those.
func TestGrafanaFindsItsSources(t *testing.T) {
	t.Parallel()
	project, _ := load(t, "observability")
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool           `yaml:"isDefault"`
			JSONData                     map[string]any `yaml:"jsonData"`
		}
	}
	decode(t, "grafana/provisioning/datasources/datasources.yaml", &sources)
	var known []string
	for _, source := range sources.Datasources {
		address, err := url.Parse(source.URL)
		require.NoError(t, err)
		require.Contains(t, project.ServiceNames(), address.Hostname())
		known = append(known, source.UID)
	}
	var dashboards struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Folder, Type    string
			DisableDeletion       bool `yaml:"disableDeletion"`
			AllowUIUpdates        bool `yaml:"allowUiUpdates"`
			UpdateIntervalSeconds int  `yaml:"updateIntervalSeconds"`
			Options               struct{ Path string }
		}
	}
	decode(t, "grafana/provisioning/dashboards/dashboards.yaml", &dashboards)
	mounted := map[string]string{}
	for _, volume := range project.Services["grafana"].Volumes {
		mounted[volume.Target] = filepath.Base(volume.Source)
	}
	require.Equal(t, "dashboards", mounted[dashboards.Providers[0].Options.Path])
	require.NoError(t, fs.WalkDir(os.DirFS(filepath.Join(deploy, "grafana/dashboards")), ".",
		func(path string, _ fs.DirEntry, err error) error {
			require.NoError(t, err)
			if strings.HasSuffix(path, ".json") {
				requireKnownSources(t, path, known)
			}
			return nil
		}))
}

// requireKnownSources looks at each data source that a dashboard names. One may also be a variable of the dashboard.
func requireKnownSources(t *testing.T, path string, known []string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(deploy, "grafana/dashboards", path))
	require.NoError(t, err)
	var dashboard any
	require.NoError(t, json.Unmarshal(content, &dashboard), path)
	var look func(value any)
	look = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, part := range value {
				look(part)
			}
		case map[string]any:
			if source, ok := value["datasource"].(map[string]any); ok {
				uid, _ := source["uid"].(string)
				require.True(t, slices.Contains(known, uid) || strings.HasPrefix(uid, "$") || strings.HasPrefix(uid, "-- "),
					"%s: data source %q", path, uid)
			}
			for _, part := range value {
				look(part)
			}
		}
	}
	look(dashboard)
}

// decode reads a YAML file, in which nothing may be that the structure has not.
func decode(t *testing.T, path string, into any) {
	t.Helper()
	file, err := os.Open(filepath.Join(deploy, path))
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(into))
}
