package main

import (
	"bytes"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
)

// newLayer returns entries as a layer, and how many bytes they are when unpacked. It compresses with a library that
// go.mod pins: what compress/gzip writes may change with Go.
func newLayer(entries []entry, at time.Time) (v1.Layer, int64, error) {
	packed, err := packTree(entries, at)
	if err != nil {
		return nil, 0, err
	}
	var compressed bytes.Buffer
	w, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		return nil, 0, err
	}
	if _, err := w.Write(packed); err != nil {
		return nil, 0, err
	}
	if err := w.Close(); err != nil {
		return nil, 0, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(compressed.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	return layer, int64(len(packed)), err
}
