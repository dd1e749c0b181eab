package e2e

import (
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/target"
)

func events() []scenario {
	return []scenario{
		{name: "event id twice", play: eventTwice},
		{name: "event ids keep order", play: eventOrder},
	}
}

// echo is what the app's function of that name returns.
type echo struct {
	Name string
	ID   string
	Data map[string]any
}

func eventTwice(s *scene) {
	event := target.Event{Name: "e2e/echo", ID: "order-7-" + s.app.Name, Data: map[string]any{"n": 1}}
	first := s.send(event)[0]
	event.Data["n"] = 2
	second := s.send(event)[0]
	require.NotEqual(s, first, second, "each copy of an event is an event")
	run := s.runOf(first)
	require.Equal(s, run, s.runOf(second))
	echoed := decode[echo](s, s.output(run))
	require.Equal(s, echo{Name: "e2e/echo", ID: event.ID, Data: map[string]any{"n": 1.0}}, echoed)
	require.Len(s, s.executions(run), 1)
}

func eventOrder(s *scene) {
	var list []target.Event
	for n := range 10 {
		list = append(list, target.Event{Name: "e2e/echo", Data: map[string]any{"n": n}})
	}
	for n, id := range s.send(list...) {
		echoed := decode[echo](s, s.output(s.runOf(id)))
		require.EqualValues(s, n, echoed.Data["n"])
	}
}
