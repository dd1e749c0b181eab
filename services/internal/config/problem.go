package config

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// LoadError is all that is wrong with the settings.
type LoadError struct {
	Problems []error
}

func (e *LoadError) add(format string, args ...any) {
	added := fmt.Errorf(format, args...)
	// A struct that embeds another one has its Validate, too.
	if !slices.ContainsFunc(e.Problems, func(known error) bool { return known.Error() == added.Error() }) {
		e.Problems = append(e.Problems, added)
	}
}

// Error names each problem, one a line.
func (e *LoadError) Error() string { return errors.Join(e.Problems...).Error() }

// Unwrap makes errors.Is find what is behind a problem.
func (e *LoadError) Unwrap() []error { return e.Problems }

// nearestKey says which key somebody may have meant.
func (s *Settings) nearestKey(unknown string) string {
	return didYouMean(unknown, maps.Keys(s.byKey), keyDelimiter)
}

// nearestEnv says which variable somebody may have meant.
func (s *Settings) nearestEnv(unknown string) string {
	return didYouMean(unknown, maps.Keys(s.byEnv), "")
}

func didYouMean(unknown string, known func(func(string) bool), delimiter string) string {
	best, fewest := "", math.MaxInt
	for _, name := range slices.Sorted(known) {
		changes := distance(unknown, name)
		// Somebody may have forgotten the section.
		if _, last, inSection := cutLast(name, delimiter); inSection {
			changes = min(changes, distance(unknown, last)+1)
		}
		if changes < fewest {
			best, fewest = name, changes
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

func cutLast(name, delimiter string) (before, after string, found bool) {
	if i := strings.LastIndex(name, delimiter); delimiter != "" && i >= 0 {
		return name[:i], name[i+len(delimiter):], true
	}
	return "", name, false
}

// distance is how many characters must be changed, added or removed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
