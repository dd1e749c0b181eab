package main

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// writeArchive writes an image as a tarball: the folder that OCI describes, with the name where containerd looks for it,
// and the older list of Docker, in which there is room for one platform only. It uses a folder below work.
func writeArchive(file, work, name string, index v1.ImageIndex, first platformImage) error {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return fmt.Errorf("name %q: %w", name, err)
	}
	tagged, ok := named.(reference.Tagged)
	if !ok {
		return fmt.Errorf("name %q: it has no tag", name)
	}
	dir, err := os.MkdirTemp(work, "layout")
	if err != nil {
		return err
	}
	oci, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := oci.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          named.String(),
		"org.opencontainers.image.ref.name": tagged.Tag(),
	})); err != nil {
		return err
	}
	if err := writeDockerList(dir, name, first); err != nil {
		return err
	}
	return packFolder(file, dir)
}

// writeDockerList writes manifest.json, as `docker save` does.
func writeDockerList(dir, name string, image platformImage) error {
	blob := func(digest v1.Hash) string { return path.Join("blobs", digest.Algorithm, digest.Hex) }
	config, err := image.ConfigName()
	if err != nil {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	var blobs []string
	for _, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			return err
		}
		blobs = append(blobs, blob(digest))
	}
	list, err := json.Marshal([]map[string]any{{"Config": blob(config), "RepoTags": []string{name}, "Layers": blobs}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "manifest.json"), list, 0o600)
}

// packFolder writes a folder as a tar archive, with nothing in it that depends on when or by whom.
func packFolder(file, dir string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if closed := out.Close(); err == nil {
			err = closed
		}
	}()
	w := tar.NewWriter(out)
	root := os.DirFS(dir)
	if err := fs.WalkDir(root, ".", func(name string, found fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		return packFile(w, root, name, found)
	}); err != nil {
		return err
	}
	return w.Close()
}

func packFile(w *tar.Writer, root fs.FS, name string, found fs.DirEntry) error {
	header := tar.Header{Name: name, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR, Typeflag: tar.TypeReg}
	if found.IsDir() {
		header.Name, header.Mode, header.Typeflag = name+"/", 0o755, tar.TypeDir
		return w.WriteHeader(&header)
	}
	in, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // was only read
	about, err := in.Stat()
	if err != nil {
		return err
	}
	header.Size = about.Size()
	if err := w.WriteHeader(&header); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}
