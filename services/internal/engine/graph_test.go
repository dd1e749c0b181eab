package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// graphKind is what a part of a random function does.
type graphKind int

const (
	graphStep graphKind = iota
	graphSleep
	graphWait
	// graphSeq runs its children one after the other.
	graphSeq
	// graphAll runs its children at once and goes on when all have ended; it fails as the first of them that fails.
	graphAll
	// graphRace runs its children at once and goes on as the first of them that ends.
	graphRace
	// graphTry catches the failure of its child.
	graphTry
	// graphLoop runs its child several times, with the same step ids.
	graphLoop
	// graphThrow is code outside of steps that fails.
	graphThrow
)

const (
	// graphForGood is for a step or code that fails in every attempt.
	graphForGood = 100
	// graphAttempts is how many attempts the function allows.
	graphAttempts = 4
)

// graphNode is a part of a random function, which is a tree of them.
type graphNode struct {
	kind graphKind
	// id is what the step is called in the code; several may have the same.
	id string
	// fails is how many attempts of a step's body, or of code, fail before one succeeds.
	fails int
	// noRetry says that the failure is one that must not be tried again.
	noRetry bool
	// delay is how long a sleep lasts, or a wait at most.
	delay time.Duration
	// event is what a wait waits for, or what a step's body sends. number, if not 0, is the number that a wait asks for.
	event  string
	number int
	// times is how often a loop goes round.
	times int
	// shared says that the children of a group have the same step id; raced that the SDK is told of the race.
	shared   bool
	raced    bool
	children []*graphNode
}

// graphNames draws functions.
type graphNames struct {
	t     *rapid.T
	left  int
	count int
}

// graphPlace is where in a function a node stands, which decides what may stand there.
type graphPlace struct {
	depth          int
	inGroup, inTry bool
}

func drawGraph(t *rapid.T) *graphNode {
	g := &graphNames{t: t, left: rapid.IntRange(1, 14).Draw(t, "size")}
	return g.sequence(graphPlace{})
}

func (g *graphNames) name(prefix string) string {
	g.count++
	return fmt.Sprintf("%s%d", prefix, g.count)
}

func (g *graphNames) sequence(p graphPlace) *graphNode {
	n := &graphNode{kind: graphSeq}
	for range rapid.IntRange(1, 4).Draw(g.t, "length") {
		n.children = append(n.children, g.node(p)...)
	}
	return n
}

// node draws one node, or two that belong together.
func (g *graphNames) node(p graphPlace) []*graphNode {
	g.left--
	kinds := []graphKind{graphStep, graphStep, graphStep, graphSleep, graphWait}
	if g.left > 0 && p.depth < 4 {
		kinds = append(kinds, graphAll, graphAll, graphRace, graphTry, graphLoop)
	}
	if !p.inGroup && !p.inTry {
		kinds = append(kinds, graphThrow)
	}
	n := &graphNode{kind: rapid.SampledFrom(kinds).Draw(g.t, "kind")}
	inner := p
	inner.depth++
	switch n.kind {
	case graphStep:
		g.step(n)
	case graphSleep:
		n.id = g.name("z")
		n.delay = rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, time.Hour}).Draw(g.t, "sleep")
	case graphWait:
		return g.wait(n, p)
	case graphAll, graphRace:
		g.group(n, inner)
	case graphTry:
		inner.inTry = true
		n.children = []*graphNode{g.sequence(inner)}
	case graphLoop:
		n.times = rapid.IntRange(2, 3).Draw(g.t, "times")
		n.children = []*graphNode{g.sequence(inner)}
	case graphThrow:
		n.id = g.name("c")
		n.fails, n.noRetry = g.failures(), rapid.Bool().Draw(g.t, "no retry")
		n.noRetry = n.noRetry && n.fails == graphForGood
	case graphSeq:
	}
	return []*graphNode{n}
}

func (g *graphNames) step(n *graphNode) {
	n.id = g.name("s")
	if rapid.IntRange(0, 5).Draw(g.t, "known name") == 0 {
		n.id = "s" // an id that other steps of the sequence have too
	}
	n.fails = g.failures()
	n.noRetry = n.fails == graphForGood && rapid.Bool().Draw(g.t, "no retry")
}

// failures are mostly none.
func (g *graphNames) failures() int {
	return rapid.SampledFrom([]int{0, 0, 0, 0, 0, 1, 1, 2, graphAttempts - 1, graphForGood}).Draw(g.t, "fails")
}

// wait is for an event that the step before sends, that anybody may send at any time, or that nobody sends.
func (g *graphNames) wait(n *graphNode, p graphPlace) []*graphNode {
	n.id = g.name("w")
	switch rapid.IntRange(0, 2).Draw(g.t, "wait") {
	case 0:
		n.event, n.delay = "never/sent", rapid.SampledFrom([]time.Duration{time.Second, time.Hour}).Draw(g.t, "timeout")
	case 1:
		n.event, n.delay = rapid.SampledFrom([]string{"any/a", "any/b"}).Draw(g.t, "event"), time.Hour
		n.number = rapid.IntRange(0, 2).Draw(g.t, "number")
	case 2:
		if p.inGroup {
			// What was sent before the latest step began need not match, and another branch may have had it.
			n.event, n.delay = "never/sent", time.Minute
			break
		}
		n.event, n.delay = "sent/"+n.id, 300*24*time.Hour
		sender := &graphNode{kind: graphStep, id: g.name("s"), event: n.event}
		if fails := g.failures(); fails != graphForGood {
			sender.fails = fails
		}
		return []*graphNode{sender, n}
	}
	return []*graphNode{n}
}

func (g *graphNames) group(n *graphNode, p graphPlace) {
	p.inGroup = true
	n.id = g.name("g")
	n.raced = n.kind == graphRace && rapid.Bool().Draw(g.t, "raced")
	if rapid.IntRange(0, 4).Draw(g.t, "shared") == 0 {
		n.shared = true
		id := g.name("p")
		for range rapid.IntRange(2, 3).Draw(g.t, "branches") {
			branch := &graphNode{kind: graphStep}
			g.step(branch)
			branch.id = id
			n.children = append(n.children, branch)
		}
		return
	}
	for range rapid.IntRange(1, 3).Draw(g.t, "branches") {
		n.children = append(n.children, g.sequence(p))
	}
}

// String is the function as code, for people who read what failed.
func (n *graphNode) String() string {
	parts := make([]string, len(n.children))
	for i, child := range n.children {
		parts[i] = child.String()
	}
	inner := strings.Join(parts, ", ")
	switch n.kind {
	case graphStep:
		return strings.TrimSuffix(fmt.Sprintf("step(%s fails=%d noRetry=%t sends=%s)", n.id, n.fails, n.noRetry, n.event), " ")
	case graphSleep:
		return fmt.Sprintf("sleep(%s %s)", n.id, n.delay)
	case graphWait:
		return fmt.Sprintf("wait(%s %s n=%d timeout=%s)", n.id, n.event, n.number, n.delay)
	case graphSeq:
		return "[" + inner + "]"
	case graphAll:
		return fmt.Sprintf("all(shared=%t: %s)", n.shared, inner)
	case graphRace:
		return fmt.Sprintf("race(raced=%t shared=%t: %s)", n.raced, n.shared, inner)
	case graphTry:
		return "try(" + inner + ")"
	case graphLoop:
		return fmt.Sprintf("loop(%d: %s)", n.times, inner)
	case graphThrow:
		return fmt.Sprintf("throw(%s fails=%d noRetry=%t)", n.id, n.fails, n.noRetry)
	}
	return "?"
}

// mayYield tells whether the value, as decoded JSON, is one that the node's code may come to. It says what the code
// means, and knows nothing of calls, of attempts that are made again, or of the order in which things happen: where
// that matters, several values may be.
func (n *graphNode) mayYield(value any, waitsForAll bool) bool {
	switch n.kind {
	case graphStep:
		return n.fails < graphAttempts && value == n.id
	case graphThrow:
		return n.fails < graphAttempts && value == 0.0
	case graphSleep:
		return value == nil
	case graphWait:
		return n.mayBring(value)
	case graphTry:
		if caught, failed := value.(map[string]any); failed {
			message, _ := caught["caught"].(string)
			return n.children[0].mayFail(message, waitsForAll)
		}
		return n.children[0].mayYield(value, waitsForAll)
	case graphRace:
		if !waitsForAll { // else, as in Go, it is no race
			return slices.ContainsFunc(n.children, func(c *graphNode) bool { return c.mayYield(value, waitsForAll) })
		}
	case graphSeq, graphLoop, graphAll:
	}
	nodes, values := n.unrolled(), []any(nil)
	if list, isList := value.([]any); isList {
		values = list
	}
	if len(nodes) != len(values) {
		return false
	}
	for i, node := range nodes {
		if !node.mayYield(values[i], waitsForAll) {
			return false
		}
	}
	return true
}

// mayFail tells whether the node's code may fail with the message.
func (n *graphNode) mayFail(message string, waitsForAll bool) bool {
	switch n.kind {
	case graphStep, graphThrow:
		return n.fails >= graphAttempts && message == n.id+" failed"
	case graphSleep, graphWait, graphTry:
		return false
	case graphAll, graphRace:
		return slices.ContainsFunc(n.children, func(c *graphNode) bool { return c.mayFail(message, waitsForAll) })
	case graphSeq, graphLoop:
		for _, child := range n.children {
			if child.mayFail(message, waitsForAll) {
				return true
			}
			if !child.mayEnd(waitsForAll) {
				return false
			}
		}
	}
	return false
}

// mayEnd tells whether the node's code may come to any value.
func (n *graphNode) mayEnd(waitsForAll bool) bool {
	ends := func(c *graphNode) bool { return c.mayEnd(waitsForAll) }
	switch n.kind {
	case graphStep, graphThrow:
		return n.fails < graphAttempts
	case graphSleep, graphWait, graphTry:
		return true
	case graphRace:
		if !waitsForAll {
			return slices.ContainsFunc(n.children, ends)
		}
	case graphSeq, graphLoop, graphAll:
	}
	return !slices.ContainsFunc(n.children, func(c *graphNode) bool { return !ends(c) })
}

// mayBring tells what a wait may bring: the event that was sent for it, nothing, or either.
func (n *graphNode) mayBring(value any) bool {
	event := func(number int) bool { return value == fmt.Sprintf("%s %d", n.event, number) }
	switch {
	case strings.HasPrefix(n.event, "sent/"):
		return event(1)
	case strings.HasPrefix(n.event, "any/") && n.number != 0:
		return value == nil || event(n.number)
	case strings.HasPrefix(n.event, "any/"):
		return value == nil || event(1) || event(2)
	}
	return value == nil
}

// unrolled are the nodes that are run one after the other.
func (n *graphNode) unrolled() []*graphNode {
	nodes := n.children
	for i := 1; i < n.times; i++ {
		nodes = append(slices.Clip(nodes), n.children...)
	}
	return nodes
}

func quoted(text string) string { return `"` + text + `"` }
