package main

import (
	"flag"
	"fmt"
	"io"
)

// options are what the command line says.
type options struct {
	bin    string
	trials int
	seed   uint64
	events int
	faults int
	keep   bool
}

// The most that can be asked for: what the app remembers is in memory.
const (
	trialsMax = 1000
	eventsMax = 10_000
	faultsMax = 100
)

const introduction = `Runs the system as real processes, breaks them while events come in, and checks that nothing was lost, doubled or changed.

  make crash                          # 10 trials
  make crash TRIALS=100
  bin/crash --seed 7 --trials 1       # the faults of one trial again, at the same times
  bin/crash --events 2000 --faults 30 # more of everything

Each trial has a seed, the first --seed, and each one after it the next number.

`

func parse(args []string, out io.Writer) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("crash", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, introduction, "Flags:\n")
		flags.PrintDefaults()
	}
	flags.StringVar(&o.bin, "bin", "bin", "folder of the services' programs (make build)")
	flags.IntVar(&o.trials, "trials", 10, "how many trials")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the first trial")
	flags.IntVar(&o.events, "events", 200, "events of a trial")
	flags.IntVar(&o.faults, "faults", 8, "faults of a trial")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder with the logs even if all is well")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is not a flag", flags.Arg(0))
	}
	for _, bound := range []struct {
		name        string
		value, most int
	}{{"trials", o.trials, trialsMax}, {"events", o.events, eventsMax}, {"faults", o.faults, faultsMax}} {
		if bound.value < 1 || bound.value > bound.most {
			return o, fmt.Errorf("--%s is %d: use 1 to %d", bound.name, bound.value, bound.most)
		}
	}
	return o, nil
}
