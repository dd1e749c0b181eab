// Package archtest holds the rules of this repository that a compiler does not: who may import whom, what things are
// called, how long a file may be, and what lies at the top. Each rule is a pure function from a description of the
// repository to a list of findings; the one test reads the repository and expects none.
//
// It must not know what any package does. A rule that needs that belongs beside the package.
package archtest

import (
	"path"
	"slices"
	"strings"
)

const (
	module   = "github.com/stepwell/stepwell/"
	services = "services/"
)

// A tree is what the rules see of the repository. Paths have slashes and start below the repository.
type tree struct {
	packages []goPackage
	files    []goFile
	top      []topEntry
}

// A goPackage is a package as `go list` reports it.
type goPackage struct {
	path        string // as the table writes it: below services/, or proto/...
	folder      string // below the repository
	name        string
	doc         string // first sentence of its comment
	generated   bool   // nothing in it was written by hand
	imports     []string
	testImports []string
}

// A goFile is what the rules need of one source file.
type goFile struct {
	path      string
	lineCount int
	generated bool
	calls     []call
}

// A call is a use of a function that some rule restricts.
type call struct {
	name string // "os.Getenv"
	line int
}

// A topEntry is a file or folder at the top of the repository.
type topEntry struct {
	name      string
	isFolder  bool
	hasReadme bool
}

// check returns what breaks a rule: one line each, with the offender and what to do about it.
func check(t tree) []string {
	return slices.Concat(
		checkImports(t.packages),
		checkNames(t.packages),
		checkComments(t.packages),
		checkFiles(t.files),
		checkTop(t.top),
	)
}

// inTable is the name that the table uses for an import path of ours, and whether it is ours at all.
func inTable(importPath string) (string, bool) {
	below, ours := strings.CutPrefix(importPath+"/", module)
	return strings.TrimSuffix(strings.TrimPrefix(below, services), "/"), ours
}

// isStandard tells the standard library from the rest: no dot in the first element of the path.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// isProgram reports whether the package is below a cmd folder.
func isProgram(pkg string) bool {
	return slices.Contains(strings.Split(pkg, "/"), "cmd")
}

// matches reports whether a path is the one that a pattern of the table names; * stands for one folder.
func matches(pattern, pkg string) bool {
	if pattern == everything {
		return true
	}
	ok, err := path.Match(pattern, pkg)
	return err == nil && ok
}
