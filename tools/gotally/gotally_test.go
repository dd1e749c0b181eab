package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	good = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.01s\n"}
{"Action":"pass","Package":"p"}
`
	bad = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"a_test.go:3: it broke\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.01s\n"}
{"Action":"fail","Package":"p"}
`
	skips = `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}
`
	// Two packages run side by side; q fails to build, and p must not suffer.
	unbuilt = `{"Action":"run","Package":"p","Test":"TestA"}
{"ImportPath":"q","Action":"build-output","Output":"q.go:1: no\n"}
{"ImportPath":"q","Action":"build-fail"}
{"Action":"output","Package":"q","Output":"FAIL\tq [build failed]\n"}
{"Action":"fail","Package":"q","FailedBuild":"q"}
{"Action":"pass","Package":"p","Test":"TestA"}
`
	crashed = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`
	// The process dies: what it last said goes to a test that had passed.
	died = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"chatter of B\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"chatter of A\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- PASS: TestA (0.1s)\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"CHECK failed\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.01s\n"}
{"Action":"fail","Package":"p"}
`
	cutOff   = `{"Action":"run","Package":"p","Test":"TestA"}` + "\n"
	untested = `{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}
{"Action":"skip","Package":"p"}
`
)

func TestFollow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		report string
		flags  []string
		want   string // what is shown
		good   bool
	}{
		"good":  {good, nil, "ok  \tp\t0.01s\n2 passed, 0 failed\n", true},
		"bad":   {bad, nil, "a_test.go:3: it broke\nFAIL\tp\t0.01s\nfailed: p TestA\n0 passed, 1 failed\n", false},
		"skips": {skips, nil, "skipped: p TestB\n1 passed, 0 failed\n", true},
		"skips refused": {
			skips,
			[]string{"-forbid-skips"},
			"skipped: p TestB\na test was skipped, and none may be\n1 passed, 0 failed\n",
			false,
		},
		"unbuilt": {unbuilt, nil, "q.go:1: no\nFAIL\tq [build failed]\nfailed: q\n1 passed, 1 failed\n", false},
		"crashed": {crashed, nil, "failed: p TestA\nfailed: p TestB\n0 passed, 2 failed\n", false},
		"died": {
			died, nil,
			"chatter of B\nCHECK failed\nFAIL\tp\t0.01s\nfailed: p TestB\n1 passed, 1 failed\n", false,
		},
		"cut off":  {cutOff, nil, "failed: p TestA\n0 passed, 1 failed\n", false},
		"untested": {untested, nil, "no test ran\n0 passed, 0 failed\n", false},
		"empty":    {"", nil, "no test ran\n0 passed, 0 failed\n", false},
		"not JSON": {"warning\n" + good, nil, "warning\nok  \tp\t0.01s\n2 passed, 0 failed\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := run(c.flags, strings.NewReader(c.report), &out)
			if out.String() != c.want {
				t.Errorf("shown:\n%s\nwant:\n%s", &out, c.want)
			}
			if (err == nil) != c.good {
				t.Errorf("error %v, want good = %t", err, c.good)
			}
		})
	}
}

// TestCount: kept reports add up, each test once, and a failure in one is a failure.
func TestCount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keep := func(name, report string) string {
		file := filepath.Join(dir, name)
		_ = run([]string{"-o", file}, strings.NewReader(report), &strings.Builder{})
		if kept, err := os.ReadFile(file); err != nil || string(kept) != report {
			t.Fatalf("kept %q, %v", kept, err)
		}
		return file
	}
	goodFile, badFile := keep("good.json", good), keep("bad.json", bad)

	for name, c := range map[string]struct {
		args []string
		want string
		good bool
	}{
		"once":       {[]string{goodFile}, "2 passed, 0 failed\n", true},
		"twice":      {[]string{goodFile, goodFile}, "2 passed, 0 failed\n", true},
		"bad wins":   {[]string{badFile, goodFile}, "failed: p TestA\n1 passed, 1 failed\n", false},
		"bad behind": {[]string{goodFile, badFile}, "failed: p TestA\n1 passed, 1 failed\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := run(c.args, nil, &out)
			if out.String() != c.want || (err == nil) != c.good {
				t.Errorf("shown %q and error %v, want %q and good = %t", out.String(), err, c.want, c.good)
			}
		})
	}
	if run([]string{filepath.Join(dir, "missing.json")}, nil, &strings.Builder{}) == nil {
		t.Error("a report that is missing was counted")
	}
}
