package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const (
	fileLinesMax     = 500
	testFileLinesMax = 800 // a suite is a list, and lists are long
)

// checkFiles holds every Go file that a person wrote against the rules for files.
func checkFiles(files []goFile) []string {
	var findings []string
	for _, file := range files {
		if file.generated {
			continue
		}
		findings = append(findings, checkFile(file)...)
	}
	return findings
}

func checkFile(file goFile) []string {
	var findings []string
	if limit := lineMax(file.path); file.lineCount > limit {
		findings = append(findings, fmt.Sprintf(
			"%s: %d lines, at most %d; split it along an idea", file.path, file.lineCount, limit))
	}
	if name := strings.TrimSuffix(strings.TrimSuffix(path.Base(file.path), ".go"), "_test"); isBanned(name) {
		findings = append(findings, fmt.Sprintf(
			"%s: the file name %q says nothing; name it for the noun or verb inside", file.path, name))
	}
	if !isShipped(file.path) {
		return findings // a black-box tool is configured by its environment and waits for real processes
	}
	for _, call := range file.calls {
		switch {
		case call.name == "time.Sleep" && isTest(file.path):
			findings = append(findings, fmt.Sprintf(
				"%s:%d: time.Sleep in a test; wait for a condition, or use testing/synctest and block on a timer",
				file.path, call.line))
		case call.name != "time.Sleep" && !mayReadEnvironment(file.path):
			findings = append(findings, fmt.Sprintf(
				"%s:%d: %s; take the value as a field of Config: only config and programs read the environment",
				file.path, call.line, call.name))
		}
	}
	return findings
}

func lineMax(file string) int {
	if isTest(file) || isSuite(file) {
		return testFileLinesMax
	}
	return fileLinesMax
}

func isTest(file string) bool { return strings.HasSuffix(file, "_test.go") }

// isSuite reports whether the file is of a package made for tests: storetest, queuetest.
func isSuite(file string) bool { return strings.HasSuffix(path.Dir(file), "test") }

// isShipped reports whether the file is of a module that we ship, not of a tool.
func isShipped(file string) bool {
	return strings.HasPrefix(file, services) || strings.HasPrefix(file, "proto/")
}

// mayReadEnvironment: config loads settings, programs start with what they were given, and the packages that lend a
// database to a test must be told where it is.
func mayReadEnvironment(file string) bool {
	pkg, _ := inTable(module + path.Dir(file))
	return isProgram(pkg) || slices.Contains([]string{"internal/config", "internal/pgtest", "internal/redistest"}, pkg)
}
