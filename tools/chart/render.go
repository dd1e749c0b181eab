// Package chart renders the Helm chart of Stepwell as Helm does, without a cluster, so that tests can look at what comes
// out. It must not know what the chart is about: that is in the tests.
package chart

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
)

// kubernetesVersion is what the chart is rendered for. Helm as a library would say 1.20.
const kubernetesVersion = "v1.36.0"

// Release is what an install or upgrade says besides values.
type Release struct {
	Name, Namespace string
	// Revision is 1 for an install, more for an upgrade.
	Revision int
	// Cluster answers `lookup`; without one nothing is there, as for `helm template`.
	Cluster engine.ClientProvider
}

// Manifest is one resource of the chart.
type Manifest struct {
	// File is the template that it is from, such as templates/state.yaml.
	File string
	// Text is one YAML document, with its comments.
	Text string
}

// Rendered is all that the chart makes.
type Rendered struct {
	// Manifests are in the order of their files, and of the documents therein.
	Manifests []Manifest
	// Notes are for whoever installs.
	Notes string
}

// Render renders the chart in the folder with values over its own, which it first checks against the chart's schema.
func Render(folder string, release Release, values map[string]any) (Rendered, error) {
	loaded, err := loader.LoadDir(folder)
	if err != nil {
		return Rendered{}, fmt.Errorf("load chart: %w", err)
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	version, err := chartutil.ParseKubeVersion(kubernetesVersion)
	if err != nil {
		return Rendered{}, fmt.Errorf("parse version of Kubernetes: %w", err)
	}
	capabilities.KubeVersion = *version
	all, err := chartutil.ToRenderValues(loaded, values, chartutil.ReleaseOptions{
		Name: release.Name, Namespace: release.Namespace, Revision: release.Revision,
		IsInstall: release.Revision == 1, IsUpgrade: release.Revision > 1,
	}, capabilities)
	if err != nil {
		return Rendered{}, fmt.Errorf("check values: %w", err)
	}
	var files map[string]string
	if release.Cluster == nil {
		files, err = engine.Render(loaded, all)
	} else {
		files, err = engine.RenderWithClientProvider(loaded, all, release.Cluster)
	}
	if err != nil {
		return Rendered{}, fmt.Errorf("render chart: %w", err)
	}
	return rendered(loaded.Name(), files), nil
}

// rendered takes what each file rendered to apart.
func rendered(name string, files map[string]string) Rendered {
	var r Rendered
	for _, file := range slices.Sorted(maps.Keys(files)) {
		short := strings.TrimPrefix(file, name+"/")
		switch {
		case path.Base(file) == "NOTES.txt":
			r.Notes = files[file]
		case path.Ext(file) == ".yaml":
			documents := releaseutil.SplitManifests(files[file])
			keys := slices.Collect(maps.Keys(documents))
			sort.Sort(releaseutil.BySplitManifestsOrder(keys))
			for _, key := range keys {
				r.Manifests = append(r.Manifests, Manifest{File: short, Text: documents[key]})
			}
		}
	}
	return r
}
