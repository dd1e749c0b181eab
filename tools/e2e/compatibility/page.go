package compatibility

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// What a cell says.
const (
	works     = "✓"
	fails     = "✗"
	absent    = "–"
	notTested = "not tested"
)

// kinds are the kinds of server, in the order of the columns.
func kinds() [][2]string {
	return [][2]string{
		{"dev", "`stepwell dev`: one process, everything in memory"},
		{"start", "`stepwell start`: one process, Postgres and Redis"},
		{"split", "every service a program of its own, in several replicas; Postgres and Redis"},
	}
}

const preamble = `# Compatibility

<!-- Made from the results of the end-to-end tests by ` + "`make compatibility`" + `. Do not edit. -->

What works with which SDK on which kind of server. Each row is proven by scenarios in ` + "`tools/e2e`" + `, which play apps
written with the unmodified SDKs. A test compares this page with the results of the run that it is part of, and fails if
they differ.

| Cell | |
|---|---|
| ` + works + ` | every scenario of the feature passed; a note says what was not played |
| ` + fails + ` | a scenario failed |
| ` + absent + ` | not in this SDK, or not on this kind of server; the note says why |
| ` + notTested + ` | no scenario was played here; a note says why, or what is known without a test |

A scenario that asks for a server of its own, or moves tens of megabytes, is played with the newest SDK where a server is
many processes or slow to fill; what is left out has a note. The Python SDK is not tested: its notes are from its source.
`

// column is an SDK on a kind of server.
type column struct{ sdk, target string }

// page is a page that is being written.
type page struct {
	out     strings.Builder
	columns []column
	results map[column]map[Feature][]Result
	notes   []string // of the part that is being written
}

// Page is the page that the results make. It depends on outcomes and reasons alone, so two runs with the same make the same.
func Page(results []Result) string {
	p := &page{results: map[column]map[Feature][]Result{}}
	for _, r := range results {
		at := column{sdk: r.SDK, target: r.Target}
		for _, feature := range r.Features {
			if p.results[at] == nil {
				p.results[at] = map[Feature][]Result{}
			}
			p.results[at][feature] = append(p.results[at][feature], r)
		}
	}
	p.columns = slices.SortedFunc(maps.Keys(p.results), func(a, b column) int {
		return cmp.Or(cmp.Compare(a.language(), b.language()), -cmp.Compare(a.sdk, b.sdk), cmp.Compare(a.rank(), b.rank()))
	})
	p.write()
	return p.out.String()
}

func (p *page) write() {
	p.out.WriteString(preamble)
	p.out.WriteString("\n| Kind | |\n|---|---|\n")
	for _, kind := range kinds() {
		fmt.Fprintf(&p.out, "| %s | %s |\n", kind[0], kind[1])
	}
	for _, g := range groups() {
		p.notes = nil
		fmt.Fprintf(&p.out, "\n## %s\n\n| |", g.name)
		for _, c := range p.columns {
			fmt.Fprintf(&p.out, " %s %s |", c.name(), c.target)
		}
		fmt.Fprintf(&p.out, " %s |\n|---|%s---|\n", pythonSDK, strings.Repeat("---|", len(p.columns)))
		for _, feature := range g.features {
			fmt.Fprintf(&p.out, "| %s |", feature)
			for _, c := range p.columns {
				fmt.Fprintf(&p.out, " %s |", p.cell(p.results[c][feature]))
			}
			fmt.Fprintf(&p.out, " %s |\n", p.pythonCell(feature))
		}
		for i, note := range p.notes {
			if i == 0 {
				p.out.WriteString("\n")
			}
			fmt.Fprintf(&p.out, "%d. %s\n", i+1, note)
		}
	}
}

// language puts the columns of one language beside each other, JavaScript first.
func (c column) language() string {
	language, _, _ := strings.Cut(c.sdk, ":")
	if language == "js" {
		return "" // before all
	}
	return language
}

// rank puts the kinds of server in their order. One that is not known is the first, so that it is seen.
func (c column) rank() int {
	return slices.IndexFunc(kinds(), func(kind [2]string) bool { return kind[0] == c.target })
}

// name is an SDK as people write it: "JS 4.24.0" for "js:v4.24.0".
func (c column) name() string {
	language, version, _ := strings.Cut(c.sdk, ":v")
	if name, ok := map[string]string{"js": "JS", "go": "Go"}[language]; ok {
		language = name
	}
	return language + " " + version
}

// cell is what the results of a feature's scenarios come to.
func (p *page) cell(results []Result) string {
	has := func(outcome string) bool {
		return slices.ContainsFunc(results, func(r Result) bool { return r.Outcome == outcome })
	}
	text := notTested
	switch {
	case has(Failed):
		return fails
	case has(Passed):
		text = works
	case has(NotApplicable):
		text = absent
	}
	return text + p.refer(reasons(results, text == works))
}

// reasons are why scenarios were not played. Beside others that passed, each says which scenario that is, and which app
// where another app of the same SDK played it.
func reasons(results []Result, mixed bool) []string {
	played, leftOut := map[string]bool{}, map[string]bool{}
	for _, r := range results {
		played[r.Scenario] = played[r.Scenario] || r.Outcome == Passed
		leftOut[r.Scenario] = leftOut[r.Scenario] || r.Outcome == LeftOut
	}
	var list []string
	for _, r := range results {
		switch {
		case r.Outcome == Passed, r.Outcome == NotApplicable && leftOut[r.Scenario]:
			continue // what is left out could be played
		case !mixed:
			list = append(list, r.Reason)
		case played[r.Scenario]:
			list = append(list, fmt.Sprintf("not in the app `%s`: %s", r.App, r.Reason))
		default:
			list = append(list, fmt.Sprintf("without the scenario \"%s\": %s", r.Scenario, r.Reason))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (p *page) pythonCell(feature Feature) string {
	known, ok := python()[feature]
	if !ok {
		return notTested
	}
	return notTested + p.refer([]string{fmt.Sprintf("%s: %s (notes on the protocol of SDKs, %s).",
		pythonSDK, known.text, known.section)})
}

// refer notes texts and returns what refers to them.
func (p *page) refer(notes []string) string {
	var numbers []string
	for _, note := range notes {
		number := slices.Index(p.notes, note)
		if number < 0 {
			number = len(p.notes)
			p.notes = append(p.notes, note)
		}
		numbers = append(numbers, strconv.Itoa(number+1))
	}
	if len(numbers) == 0 {
		return ""
	}
	return " <sup>" + strings.Join(numbers, ",") + "</sup>"
}
