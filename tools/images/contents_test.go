package main

import (
	"archive/tar"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// contents returns the files of a tar archive. What is in it belongs to nobody and is of no certain age.
func contents(t *testing.T, archive io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	r := tar.NewReader(archive)
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		require.Zero(t, header.Uid, header.Name)
		require.Empty(t, header.Uname, header.Name)
		if header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		files[strings.TrimPrefix(header.Name, "/")] = content
	}
}

// noise returns bytes that cannot be compressed.
func noise(count int) []byte {
	bytes := make([]byte, count)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(bytes) // never fails
	return bytes
}
