// Command gotally counts what `go test -json` reports, and shows of it what a person wants to see.
//
//	go test -json ./... | gotally -o unit.json   shows packages and failures, keeps the report, ends with the count
//	gotally unit.json e2e.json                   counts kept reports, each test once; one that failed anywhere failed
//
// The last line is the count: `12 passed, 0 failed`. Tests and subtests count alike. It exits with 1 if anything failed
// and also if nothing passed: a count of nothing proves nothing. With -forbid-skips a skipped test is a failure.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	err := run(os.Args[1:], os.Stdin, os.Stdout)
	if err != nil && !errors.Is(err, errNotGood) {
		fmt.Fprintln(os.Stderr, "gotally:", err)
	}
	if err != nil {
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("gotally", flag.ContinueOnError)
	keep := flags.String("o", "", "keep the report in this `file`")
	forbidSkips := flags.Bool("forbid-skips", false, "fail if a test was skipped")
	if err := flags.Parse(args); err != nil {
		return err
	}
	t := newTally()
	if flags.NArg() == 0 {
		if err := follow(t, stdin, out, *keep); err != nil {
			return err
		}
	}
	for _, name := range flags.Args() {
		if err := add(t, name); err != nil {
			return err
		}
	}
	return t.conclude(out, *forbidSkips)
}

// follow shows a report as it comes and keeps it.
func follow(t *tally, report io.Reader, out io.Writer, keep string) error {
	if keep == "" {
		return t.read(report, out)
	}
	file, err := os.Create(keep)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriter(file)
	err = t.read(io.TeeReader(report, buffer), out)
	for _, end := range []func() error{buffer.Flush, file.Close} {
		if endErr := end(); err == nil {
			err = endErr
		}
	}
	return err
}

// add reads a kept report.
func add(t *tally, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	return t.read(file, io.Discard)
}
