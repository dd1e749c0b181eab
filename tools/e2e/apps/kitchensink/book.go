package kitchensink

import (
	"sync"
	"time"
)

// execution is one execution of a body: of the function itself, or of a step.
type execution struct {
	Body    string `json:"body"`
	Attempt int    `json:"attempt"`
	At      int64  `json:"at"`
}

// book notes every execution, by run. It is in memory: an app that is killed forgets.
type book struct {
	mu   sync.Mutex
	runs map[string][]execution
}

func newBook() *book { return &book{runs: map[string][]execution{}} }

func (b *book) add(run, body string, attempt int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs[run] = append(b.runs[run], execution{Body: body, Attempt: attempt, At: time.Now().UnixMilli()})
}

func (b *book) of(run string) []execution {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]execution{}, b.runs[run]...)
}

// gates hold a body until a test opens them. A gate that is open stays open.
type gates struct {
	mu    sync.Mutex
	doors map[string]*door
}

type door struct {
	once sync.Once
	open chan struct{}
}

func newGates() *gates { return &gates{doors: map[string]*door{}} }

func (g *gates) door(gate string) *door {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.doors[gate] == nil {
		g.doors[gate] = &door{open: make(chan struct{})}
	}
	return g.doors[gate]
}

func (g *gates) pass(gate string) { <-g.door(gate).open }

func (g *gates) open(gate string) {
	d := g.door(gate)
	d.once.Do(func() { close(d.open) })
}
