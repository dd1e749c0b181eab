package main

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"
)

// root is the repository, seen from the folder of this test.
const root = "../.."

// build runs the program and returns the folder with what it wrote, and what it said. It compiles with the Go that is
// here, so that no test downloads another one.
func build(t *testing.T, source string, args ...string) (folder, said string) {
	t.Helper()
	folder = t.TempDir()
	var out strings.Builder
	require.NoError(t, run(t.Context(), append([]string{
		"--source", source, "--out", folder, "--toolchain", "local", "--version", "v1.2.3", "--revision", "0123abcd",
	}, args...), &out, io.Discard))
	return folder, out.String()
}

// TestSameSourceSameDigest: the folder, its age and who builds leave no trace.
func TestSameSourceSameDigest(t *testing.T) {
	t.Parallel()
	var said []string
	var tarballs [][]byte
	for _, folder := range []string{"here", "somewhere/else/with/a/longer/name"} {
		copied := filepath.Join(t.TempDir(), folder)
		require.NoError(t, os.MkdirAll(copied, 0o755))
		for _, part := range []string{"proto", "services"} {
			require.NoError(t, os.CopyFS(filepath.Join(copied, part), os.DirFS(filepath.Join(root, part))))
		}
		for _, part := range []string{"go.work", "go.work.sum"} {
			content, err := os.ReadFile(filepath.Join(root, part))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(copied, part), content, 0o600))
		}
		results, digests := build(t, copied, "--platforms", "linux/amd64", "state")
		said = append(said, digests)
		content, err := os.ReadFile(filepath.Join(results, "state.tar"))
		require.NoError(t, err)
		tarballs = append(tarballs, content)
	}
	require.Regexp(t, `(?m)^stepwell/state:v1\.2\.3@sha256:[0-9a-f]{64}$`, said[0])
	require.Equal(t, said[0], said[1])
	require.True(t, bytes.Equal(tarballs[0], tarballs[1]), "the tarballs are the same byte for byte")
	t.Log(said[0])
}

// TestImageForAllPlatforms looks into a tarball as those do who take it.
func TestImageForAllPlatforms(t *testing.T) {
	t.Parallel()
	folder, said := build(t, root, "example")
	t.Log(said)
	index := open(t, filepath.Join(folder, "example.tar"))
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 4, "two platforms, and an attestation for each")
	require.Equal(t, "v1.2.3", manifest.Annotations["org.opencontainers.image.version"])
	machines := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64/v8": elf.EM_AARCH64}
	for position, descriptor := range manifest.Manifests[:2] {
		image, err := index.Image(descriptor.Digest)
		require.NoError(t, err)
		machine, known := machines[descriptor.Platform.String()]
		require.True(t, known, descriptor.Platform.String())
		delete(machines, descriptor.Platform.String())
		requireImage(t, image, machine)
		attestation := manifest.Manifests[position+2]
		require.Equal(t, "unknown/unknown", attestation.Platform.String())
		require.Equal(t, descriptor.Digest.String(), attestation.Annotations["vnd.docker.reference.digest"])
		requireAttestation(t, index, attestation.Digest, descriptor.Digest)
	}
	require.Empty(t, machines)

	docker, err := tarball.ImageFromPath(filepath.Join(folder, "example.tar"), nil)
	require.NoError(t, err, "and as an engine does that knows no indexes")
	require.NoError(t, validate.Image(docker))
}

// open unpacks a tarball and returns the index in it.
func open(t *testing.T, path string) v1.ImageIndex {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	dir := t.TempDir()
	for name, content := range contents(t, file) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	index, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	require.Equal(t, "v1.2.3", manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"])
	require.Regexp(t, `/stepwell/example:v1\.2\.3$`, manifest.Manifests[0].Annotations["io.containerd.image.name"])
	inner, err := index.ImageIndex(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	return inner
}

// requireImage holds an image against what a cluster asks of one.
func requireImage(t *testing.T, image v1.Image, machine elf.Machine) {
	t.Helper()
	require.NoError(t, validate.Image(image))
	config, err := image.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, "65532:65532", config.Config.User)
	require.Equal(t, []string{"/usr/local/bin/example"}, config.Config.Entrypoint)
	require.Equal(t, "0123abcd", config.Config.Labels["org.opencontainers.image.revision"])
	require.Equal(t, config.Created.Format(time.RFC3339), config.Config.Labels["org.opencontainers.image.created"])
	files := contents(t, mutate.Extract(image))
	require.Contains(t, string(files["etc/passwd"]), "nonroot:x:65532:65532:")
	require.Greater(t, bytes.Count(files["etc/ssl/certs/ca-certificates.crt"], []byte("BEGIN CERTIFICATE")), 50)
	program, err := elf.NewFile(bytes.NewReader(files["usr/local/bin/example"]))
	require.NoError(t, err)
	require.Equal(t, machine, program.Machine)
	for _, part := range program.Progs {
		require.NotEqual(t, elf.PT_INTERP, part.Type, "it is static")
	}
	require.Less(t, len(files["usr/local/bin/example"]), 30_000_000)
}

// requireAttestation reads the SBOM out of an attestation.
func requireAttestation(t *testing.T, index v1.ImageIndex, digest, subject v1.Hash) {
	t.Helper()
	image, err := index.Image(digest)
	require.NoError(t, err)
	layers, err := image.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 1)
	in, err := layers[0].Uncompressed()
	require.NoError(t, err)
	var statement struct {
		Subject []struct {
			Digest map[string]string
		}
		Predicate struct {
			Packages []struct {
				Name string
			}
		}
	}
	require.NoError(t, json.NewDecoder(in).Decode(&statement))
	require.Equal(t, subject.Hex, statement.Subject[0].Digest["sha256"])
	var packages []string
	for _, part := range statement.Predicate.Packages {
		packages = append(packages, part.Name)
	}
	require.Contains(t, packages, "stdlib")
	require.Contains(t, packages, "github.com/inngest/inngestgo")
}

func TestTreeIsWhatAnImageHas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	entries := append(baseFiles(), binaryFiles("program", []byte("code"))...)
	require.NoError(t, writeTree(dir, entries))
	packed, err := packTree(entries, time.Unix(1, 0))
	require.NoError(t, err)
	for name, content := range contents(t, bytes.NewReader(packed)) {
		written, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, string(content), string(written), name)
	}
	program, err := os.ReadFile(filepath.Join(dir, "usr/local/bin/program"))
	require.NoError(t, err)
	require.Equal(t, "code", string(program))
	about, err := os.Stat(filepath.Join(dir, "tmp"))
	require.NoError(t, err)
	require.Equal(t, fs.ModeDir|fs.ModeSticky|0o777, about.Mode())
}

// TestDockerfileIsAsThisProgram: what the Dockerfile cannot ask this program for is written in both.
func TestDockerfileIsAsThisProgram(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(root, "deploy/Dockerfile"))
	require.NoError(t, err)
	dockerfile := string(content)
	require.Contains(t, dockerfile, "\nARG GO="+strings.TrimPrefix(pinnedToolchain, "go")+"\n")
	require.Contains(t, dockerfile, "\nUSER "+user+":"+user+"\n")
	require.Contains(t, dockerfile, "\nENTRYPOINT [\"/"+binaryFiles("any", nil)[0].Name+"\"]")
	given := regexp.MustCompile(`org\.opencontainers\.image\.\w+`).FindAllString(dockerfile, -1)
	for label := range labels(release{}, recipe{}) {
		if !strings.HasSuffix(label, ".description") { // is in the index only
			require.Contains(t, given, label)
		}
	}
}

func TestCommandLineThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args    []string
		problem string
	}{
		{[]string{"database"}, `service "database": it must be one of event-api, runner, executor, state, stepwell, example`},
		{[]string{"--platforms", "linux/s390x"}, `platform "linux/s390x": it must be one of linux/amd64, linux/arm64`},
		{[]string{"--tree", "x", "--platforms", "linux/amd64"}, "--tree takes one service and one of --platforms"},
		{[]string{"--source", "/"}, "there is no go.work above it"},
	} {
		require.ErrorContains(t, run(t.Context(), c.args, io.Discard, io.Discard), c.problem)
	}
	_, err := release{Root: root}.fill(t.Context(), "yesterday")
	require.ErrorContains(t, err, `SOURCE_DATE_EPOCH is "yesterday"`)
}

// TestReleaseOfACopyWithoutHistory is what the Dockerfile builds.
func TestReleaseOfACopyWithoutHistory(t *testing.T) {
	t.Parallel()
	of, err := release{Root: t.TempDir()}.fill(t.Context(), "86400")
	require.NoError(t, err)
	require.Equal(t, "unknown", of.Version)
	require.Equal(t, "1970-01-02T00:00:00Z", of.Created.Format(time.RFC3339))
}

// TestSettingsOfTheBuilderDoNotMatter sets variables of the process, so it cannot be parallel.
func TestSettingsOfTheBuilderDoNotMatter(t *testing.T) {
	for name, value := range map[string]string{
		"GOFLAGS": "-race", "GOAMD64": "v3", "GOEXPERIMENT": "nogreenteagc", "CGO_ENABLED": "1", "GODEBUG": "netdns=cgo",
	} {
		t.Setenv(name, value)
	}
	t.Setenv("GOPROXY", "https://modules.example.com")
	environ, err := environment(context.Background(), "local", "linux/amd64")
	require.NoError(t, err)
	var ours []string
	for _, variable := range environ {
		if name, _, _ := strings.Cut(variable, "="); name == "GOFLAGS" || name == "GOEXPERIMENT" || name == "GODEBUG" {
			t.Errorf("%s is handed on", name)
		}
		ours = append(ours, variable)
	}
	require.Contains(t, ours, "GOAMD64=v1")
	require.NotContains(t, ours, "GOAMD64=v3")
	require.Contains(t, ours, "CGO_ENABLED=0")
	require.Contains(t, ours, "GOPROXY=https://modules.example.com")
}

func TestImageThatIsTooLarge(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	require.NoError(t, err)
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	padded := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(padded, append(content, noise(compressedMax)...), 0o600))
	_, err = newPlatformImage(release{}, recipe{Name: "program"}, "linux/amd64", padded)
	require.ErrorContains(t, err, "it must be at most 30")
}
