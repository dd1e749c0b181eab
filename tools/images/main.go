// Command images builds the container images of the services without a container engine: one tarball for each, for all
// platforms, with a list of what is in it. Same commit, same digests.
//
// It must not build anything in a way that the Dockerfile does not: the Dockerfile calls it for the files (--tree).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const usage = `images builds the images of services, each as a tarball that "docker load", "ctr images import" and
registry tools take. Services: %s. None named: all.

  images [flags] [SERVICE...]
  images --tree DIR --platforms linux/amd64 SERVICE    only the files of one image, for the Dockerfile

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "images:", err)
		}
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	release   release
	recipes   []recipe
	platforms []string
	out, tree string
}

// run is the program: args without its name, results to out, and what is being done to progress.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(ctx, args, progress)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "images")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // a temporary folder
	if o.tree != "" {
		return o.writeTree(ctx, work, progress)
	}
	return o.writeImages(ctx, work, out, progress)
}

func parse(ctx context.Context, args []string, progress io.Writer) (options, error) {
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.Usage = func() { fmt.Fprintf(progress, usage, strings.Join(names(), ", ")); flags.PrintDefaults() }
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "platforms, with commas between")
	out := flags.String("out", "bin/images", "folder for the tarballs, below the repository unless it is absolute")
	tree := flags.String("tree", "", "write only the files of one image for one platform into this folder")
	source := flags.String("source", "", "the repository; empty for the one that this folder is in")
	var given release
	flags.StringVar(&given.Version, "version", "", "version, which is also the tag; empty for what git says")
	flags.StringVar(&given.Revision, "revision", "", "commit; empty for what git says")
	flags.StringVar(&given.Toolchain, "toolchain", pinnedToolchain, "the Go that compiles; digests depend on it")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	root, err := findRoot(*source)
	if err != nil {
		return options{}, err
	}
	given.Root = root
	o := options{platforms: strings.Split(*platforms, ","), out: *out, tree: *tree}
	if !filepath.IsAbs(o.out) {
		o.out = filepath.Join(root, o.out)
	}
	for _, platform := range o.platforms {
		if !slices.Contains(supported(), platform) {
			return options{}, fmt.Errorf("platform %q: it must be one of %s", platform, strings.Join(supported(), ", "))
		}
	}
	if o.recipes, err = chosen(flags.Args()); err != nil {
		return options{}, err
	}
	if o.tree != "" && (len(o.recipes) != 1 || len(o.platforms) != 1) {
		return options{}, errors.New("--tree takes one service and one of --platforms")
	}
	o.release, err = given.fill(ctx, os.Getenv("SOURCE_DATE_EPOCH"))
	return o, err
}

func (o options) writeTree(ctx context.Context, work string, progress io.Writer) error {
	recipe, platform := o.recipes[0], o.platforms[0]
	fmt.Fprintf(progress, "compiling %s for %s\n", recipe.Name, platform)
	binaries, err := compile(ctx, o.release, o.recipes, platform, work)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(binaries[recipe.Name])
	if err != nil {
		return err
	}
	return writeTree(o.tree, append(baseFiles(), binaryFiles(recipe.Name, content)...))
}

func (o options) writeImages(ctx context.Context, work string, out, progress io.Writer) error {
	if err := os.MkdirAll(o.out, 0o750); err != nil {
		return err
	}
	built := map[string][]platformImage{}
	for _, platform := range o.platforms {
		fmt.Fprintf(progress, "compiling for %s\n", platform)
		binaries, err := compile(ctx, o.release, o.recipes, platform, work)
		if err != nil {
			return err
		}
		for _, recipe := range o.recipes {
			image, err := newPlatformImage(o.release, recipe, platform, binaries[recipe.Name])
			if err != nil {
				return fmt.Errorf("image of %s for %s: %w", recipe.Name, platform, err)
			}
			built[recipe.Name] = append(built[recipe.Name], image)
		}
	}
	digests := &strings.Builder{}
	for _, recipe := range o.recipes {
		line, err := o.writeImage(recipe, built[recipe.Name], work)
		if err != nil {
			return fmt.Errorf("image of %s: %w", recipe.Name, err)
		}
		fmt.Fprintln(digests, line)
		for _, image := range built[recipe.Name] {
			fmt.Fprintf(out, "%-40s %-12s %5.1f MB, unpacked %5.1f MB\n", recipe.reference(o.release), image.Platform,
				megabytes(image.Compressed), megabytes(image.Unpacked))
		}
	}
	fmt.Fprint(out, digests)
	return os.WriteFile(filepath.Join(o.out, "digests.txt"), []byte(digests.String()), 0o600)
}

// writeImage writes the files of one image and returns the line with its digest.
func (o options) writeImage(recipe recipe, images []platformImage, work string) (string, error) {
	index, err := newIndex(o.release, recipe, images)
	if err != nil {
		return "", err
	}
	for _, image := range images {
		name := recipe.Name + "." + strings.ReplaceAll(image.Platform, "/", "-") + ".spdx.json"
		if err := os.WriteFile(filepath.Join(o.out, name), image.SBOM, 0o600); err != nil {
			return "", err
		}
	}
	path := filepath.Join(o.out, recipe.Name+".tar")
	if err := writeArchive(path, work, recipe.reference(o.release), index, images[0]); err != nil {
		return "", err
	}
	digest, err := index.Digest()
	return fmt.Sprintf("%s@%s", recipe.reference(o.release), digest), err
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }
