package expr

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkMatch(b *testing.B) {
	vars := Vars{
		Event: decode(b, `{"data":{"n":5,"id":"x","tags":["a","b","c","d"]}}`),
		Async: decode(b, `{"data":{"id":"x"}}`),
	}
	for _, bench := range []struct {
		name, source string
	}{
		{"compare", `event.data.n > 3`},
		{"join", `event.data.id == async.data.id`},
		{"missing", `event.data.missing.deep == "x" || event.data.n == 5`},
		{"exists", `event.data.tags.exists(t, t == "d")`},
		{"matches", `event.data.id.matches("^[a-z]+$")`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			program, err := Compile(bench.source, Full)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if matched, err := program.Match(vars); !matched {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkKey(b *testing.B) {
	vars := Vars{Event: decode(b, `{"data":{"n":5,"id":"x"}}`)}
	program, err := Compile(`event.data.id + "-" + event.data.n`, Full)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := program.Key(vars); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(`event.data.id == async.data.id && async.data.n > 3`, CancelOnly); err != nil {
			b.Fatal(err)
		}
	}
}
