package redisqueue

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// names are the scripts that there are.
func names(t *testing.T) []string {
	t.Helper()
	files, err := scriptFiles.ReadDir("scripts")
	require.NoError(t, err)
	var all []string
	for _, file := range files {
		if name, isScript := strings.CutSuffix(file.Name(), ".lua"); isScript {
			all = append(all, name)
		}
	}
	return all
}

func TestEveryScriptIsUsedOnce(t *testing.T) {
	t.Parallel()
	loaded, err := loadScripts()
	require.NoError(t, err)
	var used []string
	for _, value := range reflect.ValueOf(loaded).Fields() {
		used = append(used, value.Elem().FieldByName("name").String())
	}
	require.ElementsMatch(t, names(t), used)
}

// TestHeadersAreComplete: a header tells what the script does, its keys, arguments, result and invariant, in this order.
func TestHeadersAreComplete(t *testing.T) {
	t.Parallel()
	header := regexp.MustCompile(`^-- [A-Z].*\n(-- .+\n)*-- KEYS: .+\n-- ARGV: .+\n-- Result: .+\n-- Invariant: .+\n(-- .+\n)*local `)
	for _, name := range names(t) {
		s, err := loadScript(name)
		require.NoError(t, err)
		require.Regexp(t, header, s.source, name)
		require.NotEmpty(t, s.arguments, name)
		require.LessOrEqual(t, strings.Count(s.source, "\n"), 80, name)
	}
}

// TestKeysAreNamedAsInTheHeader: a script gives its keys the names that they have in the header, in the same order, and
// then knows them by these only.
func TestKeysAreNamedAsInTheHeader(t *testing.T) {
	t.Parallel()
	binding := regexp.MustCompile(`local ([a-z, ]+) = ((?:KEYS\[\d+\](?:, )?)+)\n`)
	for _, name := range names(t) {
		s, err := loadScript(name)
		require.NoError(t, err)
		var bound, places []string
		for _, match := range binding.FindAllStringSubmatch(s.source, -1) {
			bound = append(bound, strings.Split(match[1], ", ")...)
			places = append(places, strings.Split(match[2], ", ")...)
		}
		require.Equal(t, s.keys, bound, name)
		for i, place := range places {
			require.Equal(t, fmt.Sprintf("KEYS[%d]", i+1), place, name)
		}
		require.Equal(t, len(s.keys), strings.Count(s.source, "KEYS["), name)
	}
}

// TestArgumentsAreNamedAsInTheHeader: those that do not repeat.
func TestArgumentsAreNamedAsInTheHeader(t *testing.T) {
	t.Parallel()
	for _, name := range names(t) {
		s, err := loadScript(name)
		require.NoError(t, err)
		for i, argument := range s.arguments {
			if strings.ContainsAny(argument, "[*") {
				break
			}
			require.Contains(t, s.source, fmt.Sprintf("ARGV[%d]", i+1), name)
			require.Regexp(t, `\nlocal (\w+, )*`+argument+`\b`, s.source, name)
		}
	}
}
