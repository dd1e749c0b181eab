package wire_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// last is the last value of each enum of the domain.
func last() map[reflect.Type]int {
	return map[reflect.Type]int{
		reflect.TypeFor[stepwell.RunStatus]():     int(stepwell.RunSkipped),
		reflect.TypeFor[stepwell.SkipReason]():    int(stepwell.SkipFunctionArchived),
		reflect.TypeFor[stepwell.Hold]():          int(stepwell.HoldDrain),
		reflect.TypeFor[stepwell.ItemKind]():      int(stepwell.ItemInvoke),
		reflect.TypeFor[stepwell.Why]():           int(stepwell.WhyUnknown),
		reflect.TypeFor[stepwell.LimitKind]():     int(stepwell.LimitThrottle),
		reflect.TypeFor[stepwell.StepKind]():      int(stepwell.StepDeferAbort),
		reflect.TypeFor[stepwell.StepStatus]():    int(stepwell.StepFailed),
		reflect.TypeFor[stepwell.ResultKind]():    int(stepwell.ResultBare),
		reflect.TypeFor[stepwell.AttemptStatus](): int(stepwell.AttemptFailed),
		reflect.TypeFor[stepwell.WaitKind]():      int(stepwell.WaitCancel),
		reflect.TypeFor[stepwell.Scope]():         int(stepwell.ScopeAccount),
		reflect.TypeFor[stepwell.SingletonMode](): int(stepwell.SingletonCancel),
	}
}

// source gives the values of fields: number is what makes one different from others, and size how many a list has.
type source struct {
	number func() int
	// absent leaves the field at its zero value.
	absent func() bool
	size   func() int
	enums  map[reflect.Type]int
}

// filled is a noun with every field set, each to a value of its own.
func filled[Noun any](t *testing.T) Noun {
	t.Helper()
	count := 0
	s := source{
		number: func() int { count++; return count },
		absent: func() bool { return false },
		size:   func() int { return 2 },
		enums:  last(),
	}
	return made[Noun](t, s)
}

// drawn is a noun of which any field may be absent.
func drawn[Noun any](t *rapid.T) Noun {
	number, size, absent := rapid.IntRange(1, 1<<30), rapid.IntRange(0, 2), rapid.Bool()
	return made[Noun](t, source{
		number: func() int { return number.Draw(t, "number") },
		absent: func() bool { return absent.Draw(t, "absent") },
		size:   func() int { return size.Draw(t, "size") },
		enums:  last(),
	})
}

func made[Noun any](t require.TestingT, s source) Noun {
	var noun Noun
	s.fill(t, reflect.ValueOf(&noun).Elem())
	return noun
}

func (s source) fill(t require.TestingT, v reflect.Value) {
	if s.absent() {
		return
	}
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1_754_000_000, 0).Add(time.Duration(s.number()) * time.Nanosecond).UTC()))
		return
	case time.Duration:
		v.SetInt(int64(s.number()) * int64(time.Second))
		return
	case stepwell.Trace: // without an id, it is none
		n := byte(s.number())
		v.Set(reflect.ValueOf(stepwell.Trace{ID: [16]byte{1, n}, Span: [8]byte{2, n}, Sampled: true}))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			s.fill(t, field)
		}
		if step, isStep := reflect.TypeAssert[*stepwell.Step](v.Addr()); isStep && step.Status == stepwell.StepOpen {
			step.Result = stepwell.Result{} // it has none
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		s.fill(t, v.Elem())
	case reflect.Slice:
		s.fillSlice(t, v)
	case reflect.Array:
		reflect.Copy(v, reflect.ValueOf(fmt.Appendf(nil, "%-*d", v.Len(), s.number())))
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", s.number()))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		s.fillInt(t, v)
	default:
		t.Errorf("say here how a %s is filled", v.Type())
		t.FailNow()
	}
}

func (s source) fillSlice(t require.TestingT, v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		v.SetBytes(fmt.Appendf(nil, "%d", s.number()))
		return
	}
	size := s.size()
	if size == 0 {
		return // an empty list and none are the same on the wire
	}
	v.Set(reflect.MakeSlice(v.Type(), size, size))
	for i := range size {
		s.fill(t, v.Index(i))
	}
}

func (s source) fillInt(t require.TestingT, v reflect.Value) {
	if v.Type() == reflect.TypeFor[int]() {
		v.SetInt(int64(s.number()))
		return
	}
	most, known := s.enums[v.Type()]
	require.True(t, known, "say which is the last %s", v.Type())
	v.SetInt(int64(1 + s.number()%most))
}
