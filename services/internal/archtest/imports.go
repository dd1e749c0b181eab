package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// checkImports holds every import against the table.
func checkImports(packages []goPackage) []string {
	var findings []string
	rules := table()
	for _, pkg := range packages {
		at := slices.IndexFunc(rules, func(r rule) bool { return matches(r.pkg, pkg.path) })
		if at < 0 {
			findings = append(findings,
				fmt.Sprintf("add %s to the table in archtest, with what it may import and why", pkg.path))
			continue
		}
		tests := testRule()
		tests.ours = slices.Concat(tests.ours, rules[at].ours, rules[at].tests)
		tests.third = slices.Concat(tests.third, rules[at].third)
		for _, imported := range pkg.imports {
			findings = append(findings, checkImport(pkg.path, "imports", imported, rules[at])...)
		}
		for _, imported := range pkg.testImports {
			findings = append(findings, checkImport(pkg.path, "(in a test) imports", imported, tests)...)
		}
	}
	return findings
}

func checkImport(pkg, verb, importPath string, allowed rule) []string {
	if isStandard(importPath) {
		return nil
	}
	imported, ours := inTable(importPath)
	refuse := func(what string) []string {
		return []string{fmt.Sprintf("%s %s %s: %s", pkg, verb, imported, what)}
	}
	switch {
	case !ours:
		isBelow := func(prefix string) bool { return strings.HasPrefix(importPath+"/", prefix+"/") }
		if slices.ContainsFunc(allowed.third, isBelow) {
			return nil
		}
		return refuse("third-party code that the table in archtest does not allow here; " +
			"call the package of ours that owns it, or change the table and say why")
	case imported == pkg:
		return nil // an external test of the package
	case isProgram(imported):
		return refuse("nobody imports a program; move what is shared into the service or into internal")
	case isOtherService(pkg, imported):
		return refuse("a service does not import another; call it through its client package")
	case slices.ContainsFunc(allowed.ours, func(pattern string) bool { return matches(pattern, imported) }):
		return nil
	default:
		return refuse("the table in archtest does not allow it; " +
			"move the code to where it may, or change the table and say why")
	}
}

// isOtherService reports whether a package of one service imports the inside of another. The contract of the store,
// with its drivers, and the client packages are what a service shows to others. Programs are free to wire anything.
func isOtherService(pkg, imported string) bool {
	from, _, _ := strings.Cut(pkg, "/")
	to, rest, _ := strings.Cut(imported, "/")
	if from == to || isProgram(pkg) || !isService(from) || !isService(to) {
		return false
	}
	return !strings.HasSuffix(rest, "client") && rest != "store" && !strings.HasPrefix(rest, "store/")
}

func isService(folder string) bool {
	return slices.Contains([]string{"console", "event-api", "executor", "runner", "state"}, folder)
}
