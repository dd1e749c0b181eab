package redisqueue

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// state is where an item is. Scripts write it, too.
type state byte

const (
	stateReady   state = 'r'
	stateDelayed state = 'd'
)

// raceMark follows the state of an item with Race.
const raceMark = "!"

// entry is what the items hash says of an item besides its id. Its text is
//
//	<state>[!]<generation>;<expiries>;<due time>;<priority>;<lane>
//
// with times in microseconds: short, since it is most of what a waiting item takes, and easy for scripts to take apart.
// The states are r (ready), d (delayed), l (leased) and x (dead). Fields only ever grow in number before the lane, and a
// release reads what the one before it wrote.
type entry struct {
	state      state
	race       bool
	generation int
	expiries   int
	dueAt      time.Time
	priority   time.Duration
	lane       stepwell.Lane
}

// newEntry is the entry of an item that is put into the queue at now.
func newEntry(item stepwell.Item, now time.Time) entry {
	e := entry{
		state: stateReady, race: item.Race, generation: item.Generation, dueAt: item.DueAt, priority: item.Priority,
		lane: item.Lane(),
	}
	if micros(item.DueAt) > micros(now) {
		e.state = stateDelayed
	}
	return e
}

// score orders the item where it is: the delayed by due time, a lane by due time - priority.
func (e entry) score() int64 {
	if e.state == stateDelayed {
		return micros(e.dueAt)
	}
	return micros(e.dueAt) - e.priority.Microseconds()
}

func (e entry) String() string {
	b := make([]byte, 0, 40+len(e.lane))
	b = append(b, byte(e.state))
	if e.race {
		b = append(b, raceMark...)
	}
	b = strconv.AppendInt(b, int64(e.generation), 10)
	b = append(b, ';')
	b = strconv.AppendInt(b, int64(e.expiries), 10)
	b = append(b, ';')
	b = strconv.AppendInt(b, micros(e.dueAt), 10)
	b = append(b, ';')
	b = strconv.AppendInt(b, e.priority.Microseconds(), 10)
	b = append(b, ';')
	b = append(b, e.lane...)
	return string(b)
}

// readEntry reads the text of an entry.
func readEntry(text string) (entry, error) {
	fields := strings.SplitN(text, ";", 5)
	if len(fields) < 5 || fields[0] == "" {
		return entry{}, fmt.Errorf("value %q has not five fields", text)
	}
	e := entry{state: state(fields[0][0]), lane: stepwell.Lane(fields[4])}
	var generation string
	generation, e.race = strings.CutPrefix(fields[0][1:], raceMark)
	var numbers [4]int64
	for i, field := range []string{generation, fields[1], fields[2], fields[3]} {
		var err error
		if numbers[i], err = strconv.ParseInt(field, 10, 64); err != nil {
			return entry{}, fmt.Errorf("value %q: field %d is no number", text, i+1)
		}
	}
	e.generation, e.expiries = int(numbers[0]), int(numbers[1])
	e.dueAt, e.priority = fromMicros(numbers[2]), time.Duration(numbers[3])*time.Microsecond
	return e, nil
}

// readItem is the item that an id and the text of its entry stand for. What it cannot read is left empty: the executor
// finds that the store knows no such item, and takes it out.
func readItem(id, text string) (stepwell.Item, int) {
	item, err := stepwell.ItemID(id).Item()
	if err != nil {
		item = stepwell.Item{ID: stepwell.ItemID(id)}
	}
	e, err := readEntry(text)
	if err != nil {
		return item, 0
	}
	item.Race, item.DueAt, item.Priority = e.race, e.dueAt, e.priority
	if function, limits, err := e.lane.Parse(); err == nil {
		item.Function, item.Limits = function, limits
	}
	return item, e.generation
}

// micros is an instant as the queue keeps it: rounded down, like now, so that what is due at once stays so.
func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }
