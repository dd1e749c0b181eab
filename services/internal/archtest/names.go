package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// checkNames: a package has a name that says something, once in the repository, and its folder has the same.
func checkNames(packages []goPackage) []string {
	var findings []string
	folders := map[string]string{}
	for _, pkg := range packages {
		if pkg.name == "main" {
			continue
		}
		if isBanned(pkg.name) {
			findings = append(findings, fmt.Sprintf(
				"%s: package name %q says nothing; name it for the concept inside", pkg.folder, pkg.name))
		}
		if other, ok := folders[pkg.name]; ok {
			findings = append(findings, fmt.Sprintf(
				"%s: package name %q is taken by %s; a name occurs once, so that no import needs an alias",
				pkg.folder, pkg.name, other))
		}
		folders[pkg.name] = pkg.folder
		if !pkg.generated && pkg.name != nameFor(pkg.folder) {
			findings = append(findings, fmt.Sprintf(
				"%s: the package is called %q; call it %q like its folder", pkg.folder, pkg.name, nameFor(pkg.folder)))
		}
	}
	return findings
}

// checkComments: a package says in its comment what it is responsible for.
func checkComments(packages []goPackage) []string {
	var findings []string
	for _, pkg := range packages {
		want := "Package " + pkg.name + " "
		if pkg.name == "main" {
			want = "Command " + path.Base(pkg.folder) + " "
		}
		if !pkg.generated && !strings.HasPrefix(pkg.doc, want) {
			findings = append(findings, fmt.Sprintf(
				"%s: no package comment; begin one with `// %s…`: what it is responsible for, and what it must not do",
				pkg.folder, want))
		}
	}
	return findings
}

// nameFor is what the package in a folder is called.
func nameFor(folder string) string {
	name := path.Base(folder)
	if name == "event-api" {
		return "eventapi" // the one hyphen
	}
	return name
}

func isBanned(name string) bool {
	return slices.Contains([]string{
		"base", "common", "consts", "enums", "helper", "helpers", "impl", "manager", "misc", "models", "shared", "types",
		"util", "utils", "v2",
	}, name)
}
