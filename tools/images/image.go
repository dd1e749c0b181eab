package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// compressedMax bounds what is downloaded for one image.
const compressedMax = 30_000_000

// platformImage is an image for one platform.
type platformImage struct {
	v1.Image
	Platform string
	// SBOM is an SPDX document about what is in it.
	SBOM []byte
	// Compressed is how many bytes are downloaded; Unpacked what they are on a disk.
	Compressed, Unpacked int64
}

// newPlatformImage puts a program into an image.
func newPlatformImage(of release, recipe recipe, platform, binary string) (platformImage, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return platformImage{}, err
	}
	build, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return platformImage{}, err
	}
	image := platformImage{Platform: platform}
	var layers []mutate.Addendum
	for _, entries := range [][]entry{baseFiles(), binaryFiles(recipe.Name, content)} {
		layer, unpacked, err := newLayer(entries, of.Created)
		if err != nil {
			return image, err
		}
		compressed, err := layer.Size()
		if err != nil {
			return image, err
		}
		image.Compressed += compressed
		image.Unpacked += unpacked
		layers = append(layers, mutate.Addendum{Layer: layer, MediaType: types.OCILayer, History: v1.History{
			Created: v1.Time{Time: of.Created}, CreatedBy: "tools/images",
		}})
	}
	if image.Compressed > compressedMax {
		return image, fmt.Errorf("%.1f MB, it must be at most %.0f", megabytes(image.Compressed), megabytes(compressedMax))
	}
	if image.Image, err = newImage(configFile(of, recipe, platform), layers...); err != nil {
		return image, err
	}
	image.SBOM, err = describe(of, recipe, platform, content, build)
	return image, err
}

// configFile says how the image runs. Memory and folders are the reader's business; there is no shell to expand anything.
func configFile(of release, recipe recipe, platform string) *v1.ConfigFile {
	system, architecture, _ := strings.Cut(platform, "/")
	config := &v1.ConfigFile{
		OS: system, Architecture: architecture, Created: v1.Time{Time: of.Created},
		Config: v1.Config{
			User: user + ":" + user, WorkingDir: "/", Env: []string{"PATH=/usr/local/bin"},
			Entrypoint: []string{"/" + binaryPath(recipe.Name)}, Labels: labels(of, recipe),
		},
	}
	if architecture == "arm64" {
		config.Variant = "v8"
	}
	return config
}

// labels are those of the image, and the annotations of its index.
func labels(of release, recipe recipe) map[string]string {
	const prefix = "org.opencontainers.image."
	return map[string]string{
		prefix + "title":       "stepwell/" + recipe.Name,
		prefix + "description": recipe.Description,
		prefix + "version":     of.Version,
		prefix + "revision":    of.Revision,
		prefix + "created":     of.Created.Format(time.RFC3339),
		prefix + "source":      "https://github.com/stepwell/stepwell",
		prefix + "licenses":    "Apache-2.0",
	}
}

// newImage makes an OCI image of its configuration and layers.
func newImage(config *v1.ConfigFile, layers ...mutate.Addendum) (v1.Image, error) {
	config.RootFS.Type = "layers"
	image, err := mutate.ConfigFile(empty.Image, config)
	if err != nil {
		return nil, err
	}
	image = mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON)
	return mutate.Append(image, layers...)
}

// newIndex makes one image of those for the platforms. For each there is an attestation beside it, as BuildKit adds them:
// registries and engines know that form, so the list of contents goes wherever the image goes.
func newIndex(of release, recipe recipe, images []platformImage) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var attestations []mutate.IndexAddendum
	for _, image := range images {
		config, err := image.ConfigFile()
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image.Image, Descriptor: v1.Descriptor{Platform: config.Platform()},
		})
		attestation, err := newAttestation(of, recipe, image)
		if err != nil {
			return nil, err
		}
		attestations = append(attestations, attestation)
	}
	index = mutate.AppendManifests(index, attestations...)
	annotated, ok := mutate.Annotations(index, labels(of, recipe)).(v1.ImageIndex)
	if !ok {
		return nil, fmt.Errorf("annotate %T: it is no longer an index", index)
	}
	return annotated, nil
}

// newAttestation says in the form of in-toto that an SBOM is about an image.
func newAttestation(of release, recipe recipe, image platformImage) (mutate.IndexAddendum, error) {
	const predicate = "https://spdx.dev/Document"
	digest, err := image.Digest()
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	statement, err := json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v0.1",
		"predicateType": predicate,
		"subject": []map[string]any{{
			"name": fmt.Sprintf("pkg:docker/stepwell/%s@%s?platform=%s", recipe.Name, of.Version,
				strings.ReplaceAll(image.Platform, "/", "%2F")),
			"digest": map[string]string{digest.Algorithm: digest.Hex},
		}},
		"predicate": json.RawMessage(image.SBOM),
	})
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	const inToto = types.MediaType("application/vnd.in-toto+json")
	attestation, err := newImage(&v1.ConfigFile{OS: "unknown", Architecture: "unknown"}, mutate.Addendum{
		Layer: static.NewLayer(statement, inToto), MediaType: inToto,
		Annotations: map[string]string{"in-toto.io/predicate-type": predicate},
	})
	return mutate.IndexAddendum{Add: attestation, Descriptor: v1.Descriptor{
		Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"},
		Annotations: map[string]string{
			"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest.String(),
		},
	}}, err
}
