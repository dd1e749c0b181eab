package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// checkTop: the top of the repository reads like the architecture diagram, and every folder there explains itself.
func checkTop(entries []topEntry) []string {
	var findings []string
	folders := []string{"charts", "deploy", "docs", "proto", "services", "tools"}
	files := []string{"LICENSE", "Makefile", "README.md", "go.work", "go.work.sum"}
	for _, entry := range entries {
		expected := files
		if entry.isFolder {
			expected = folders
		}
		switch {
		case strings.HasPrefix(entry.name, "."):
		case !slices.Contains(expected, entry.name):
			findings = append(findings, fmt.Sprintf(
				"%s: does not belong at the top; put it into one of %s", entry.name, strings.Join(folders, ", ")))
		case entry.isFolder && !entry.hasReadme:
			findings = append(findings, fmt.Sprintf(
				"%s: no README.md; say in a few lines what lives there", entry.name))
		}
	}
	return findings
}
