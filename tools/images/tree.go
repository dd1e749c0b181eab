package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is the user that programs run as, and their group. It has no home and owns nothing.
const user = "65532"

// entry is a file, folder or link of an image. All belong to root.
type entry struct {
	// Name is the path without the slash before it.
	Name string
	Mode fs.FileMode
	// Content is that of a file, or what a link points to.
	Content []byte
}

// baseFiles are the same in all images: what a program expects of a system. Time zones are compiled in.
func baseFiles() []entry {
	return []entry{
		{"etc", fs.ModeDir | 0o755, nil},
		{"etc/group", 0o644, []byte("root:x:0:\nnonroot:x:" + user + ":\n")},
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/:/sbin/nologin\n" +
			"nonroot:x:" + user + ":" + user + ":nonroot:/:/sbin/nologin\n")},
		{"etc/ssl", fs.ModeDir | 0o755, nil},
		{"etc/ssl/certs", fs.ModeDir | 0o755, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, authorities()},
		{"tmp", fs.ModeDir | fs.ModeSticky | 0o777, nil},
		{"usr", fs.ModeDir | 0o755, nil},
		{"usr/local", fs.ModeDir | 0o755, nil},
		{"usr/local/bin", fs.ModeDir | 0o755, nil},
	}
}

// authorities are the certificate authorities that Mozilla trusts, as the module pins them. Left out are those that it
// trusts up to a date only, which a file cannot say.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return out.Bytes()
}

// binaryPath is where a program is in its image, without the slash before it.
func binaryPath(name string) string { return path.Join("usr/local/bin", name) }

// binaryFiles are those of one image only. The link is for the Dockerfile, whose entrypoint cannot have a variable in it.
func binaryFiles(name string, content []byte) []entry {
	return []entry{
		{"entrypoint", fs.ModeSymlink | 0o777, []byte("/" + binaryPath(name))},
		{binaryPath(name), 0o755, content},
	}
}

// writeTree writes entries below a folder.
func writeTree(dir string, entries []entry) error {
	for _, e := range entries {
		name := filepath.Join(dir, filepath.FromSlash(e.Name))
		var err error
		switch {
		case e.Mode.IsDir():
			err = os.MkdirAll(name, 0o750)
		case e.Mode&fs.ModeSymlink != 0:
			err = os.Symlink(string(e.Content), name)
		default:
			err = os.WriteFile(name, e.Content, 0o600)
		}
		if err == nil && e.Mode&fs.ModeSymlink == 0 {
			err = os.Chmod(name, e.Mode) // whatever the mask is
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// packTree returns entries as a tar archive, in which everything has the same time.
func packTree(entries []entry, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := tar.Header{Name: e.Name, Mode: int64(e.Mode.Perm()), ModTime: at, Format: tar.FormatUSTAR}
		switch {
		case e.Mode.IsDir():
			header.Typeflag, header.Name = tar.TypeDir, e.Name+"/"
			if e.Mode&fs.ModeSticky != 0 {
				header.Mode |= 0o1000
			}
		case e.Mode&fs.ModeSymlink != 0:
			header.Typeflag, header.Linkname = tar.TypeSymlink, string(e.Content)
		default:
			header.Typeflag, header.Size = tar.TypeReg, int64(len(e.Content))
		}
		if err := w.WriteHeader(&header); err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeReg {
			if _, err := w.Write(e.Content); err != nil {
				return nil, err
			}
		}
	}
	err := w.Close()
	return out.Bytes(), err
}
