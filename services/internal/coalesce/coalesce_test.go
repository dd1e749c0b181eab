package coalesce_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/coalesce"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// doubler doubles numbers, and takes its time.
type doubler struct {
	*coalesce.Coalescer[int, int]
	t *testing.T

	mu      sync.Mutex
	batches [][]int
	// under counts the calls under way, underMax the most there were.
	under, underMax int
}

// takes is how long a call of a doubler takes.
const takes = time.Second

func newDoubler(t *testing.T, config coalesce.Config[int, int]) *doubler {
	t.Helper()
	d := &doubler{t: t}
	if config.Call == nil {
		config.Call = func(context.Context, []int) ([]int, error) { return nil, nil }
	}
	answer := config.Call
	config.Call = func(ctx context.Context, batch []int) ([]int, error) {
		d.begin(batch)
		defer d.end()
		<-time.After(takes)
		if outs, err := answer(ctx, batch); outs != nil || err != nil {
			return outs, err
		}
		outs := make([]int, len(batch))
		for i, in := range batch {
			outs[i] = 2 * in
		}
		return outs, nil
	}
	config.Parallel, config.ItemsMax = max(config.Parallel, 1), max(config.ItemsMax, 100)
	c, err := coalesce.New(config)
	require.NoError(t, err)
	d.Coalescer = c
	return d
}

func (d *doubler) begin(batch []int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.batches = append(d.batches, slices.Clone(batch))
	d.under++
	d.underMax = max(d.underMax, d.under)
}

func (d *doubler) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.under--
}

// result is what a caller got.
type result struct {
	out int
	err error
}

// goDo calls Do elsewhere and returns when it waits.
func (d *doubler) goDo(ctx context.Context, in int) <-chan result {
	got := make(chan result, 1)
	go func() {
		out, err := d.Do(ctx, in)
		got <- result{out, err}
	}()
	synctest.Wait()
	return got
}

func (d *doubler) close() { require.NoError(d.t, d.Close(d.t.Context())) }

func TestAloneIsCalledAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoubler(t, coalesce.Config[int, int]{})
		began := time.Now()
		out, err := d.Do(t.Context(), 21)
		require.NoError(t, err)
		require.Equal(t, 42, out)
		require.Equal(t, takes, time.Since(began), "nothing but the call itself")
		d.close()
	})
}

func TestWhoComesDuringACallSharesTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoubler(t, coalesce.Config[int, int]{})
		began := time.Now()
		var got []<-chan result
		for in := range 5 {
			got = append(got, d.goDo(t.Context(), in))
		}
		for in, result := range got {
			r := <-result
			require.NoError(t, r.err)
			require.Equal(t, 2*in, r.out)
		}
		require.Equal(t, [][]int{{0}, {1, 2, 3, 4}}, d.batches)
		require.Equal(t, 2*takes, time.Since(began))
		d.close()
	})
}

func TestCallsAreParallelUpToABound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoubler(t, coalesce.Config[int, int]{Parallel: 2})
		var got []<-chan result
		for in := range 6 {
			got = append(got, d.goDo(t.Context(), in))
		}
		for _, result := range got {
			require.NoError(t, (<-result).err)
		}
		require.Equal(t, [][]int{{0}, {1}, {2, 3, 4, 5}}, d.batches)
		require.Equal(t, 2, d.underMax)
		d.close()
	})
}

func TestBatchesAreBoundedAndInOrder(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		config coalesce.Config[int, int]
		want   [][]int
	}{
		"by inputs": {
			coalesce.Config[int, int]{ItemsMax: 100, Weigh: func(int) (int, int) { return 40, 0 }, BytesMax: 1},
			[][]int{{10}, {20, 30}, {70, 90}, {5}},
		},
		"by items, and a light one does not overtake": {
			coalesce.Config[int, int]{ItemsMax: 100, Weigh: func(in int) (int, int) { return in, 0 }, BytesMax: 1},
			[][]int{{10}, {20, 30}, {70}, {90, 5}},
		},
		"by bytes, and a heavy one goes alone": {
			coalesce.Config[int, int]{BytesMax: 60, Weigh: func(in int) (int, int) { return 1, in }},
			[][]int{{10}, {20, 30}, {70}, {90}, {5}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDoubler(t, test.config)
				var got []<-chan result
				for _, in := range []int{10, 20, 30, 70, 90, 5} {
					got = append(got, d.goDo(t.Context(), in))
				}
				for _, result := range got {
					require.NoError(t, (<-result).err)
				}
				require.Equal(t, test.want, d.batches)
				d.close()
			})
		})
	}
}

func TestErrorOfABatchIsEverybodys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		d := newDoubler(t, coalesce.Config[int, int]{Call: func(_ context.Context, batch []int) ([]int, error) {
			if len(batch) > 1 {
				return nil, broken
			}
			return nil, nil
		}})
		first, second, third := d.goDo(t.Context(), 1), d.goDo(t.Context(), 2), d.goDo(t.Context(), 3)
		require.Equal(t, result{out: 2}, <-first)
		require.Equal(t, result{err: broken}, <-second)
		require.Equal(t, result{err: broken}, <-third)
		require.Equal(t, result{out: 8}, <-d.goDo(t.Context(), 4), "the next batch is another's")
		d.close()
	})
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("reason")
		values := []any{"text", reason}
		d := newDoubler(t, coalesce.Config[int, int]{Call: func(_ context.Context, batch []int) ([]int, error) {
			panic(values[batch[0]])
		}})
		got := <-d.goDo(t.Context(), 0)
		var panicked *coalesce.PanicError
		require.ErrorAs(t, got.err, &panicked)
		require.Equal(t, "text", panicked.Value)
		require.Contains(t, string(panicked.Stack), "TestPanicIsAnError")
		require.EqualError(t, got.err, "coalesced call panicked: text")
		require.ErrorIs(t, (<-d.goDo(t.Context(), 1)).err, reason)
		d.close()
	})
}

func TestCallThatEndsItsGoroutineIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoubler(t, coalesce.Config[int, int]{Call: func(_ context.Context, batch []int) ([]int, error) {
			if batch[0] == 0 {
				runtime.Goexit()
			}
			return nil, nil
		}})
		gone, next := d.goDo(t.Context(), 0), d.goDo(t.Context(), 1)
		require.ErrorContains(t, (<-gone).err, "ended its goroutine")
		require.Equal(t, result{out: 2}, <-next, "who waits gets another")
		d.close()
	})
}

func TestWrongNumberOfOutputsIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoubler(t, coalesce.Config[int, int]{Call: func(context.Context, []int) ([]int, error) {
			return []int{1, 2, 3}, nil
		}})
		require.EqualError(t, (<-d.goDo(t.Context(), 0)).err, "coalesced call returned 3 outputs for 1 inputs")
		d.close()
	})
}

func TestContextBoundsTheWaitOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ended error
		d := newDoubler(t, coalesce.Config[int, int]{Call: func(ctx context.Context, _ []int) ([]int, error) {
			ended = ctx.Err()
			return nil, nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		calling, waiting, patient := d.goDo(ctx, 1), d.goDo(ctx, 2), d.goDo(t.Context(), 3)
		cancel()
		require.ErrorIs(t, (<-calling).err, context.Canceled)
		require.ErrorIs(t, (<-waiting).err, context.Canceled)
		require.Equal(t, result{out: 6}, <-patient)
		require.NoError(t, ended, "a caller that leaves does not end a call")
		require.Equal(t, [][]int{{1}, {3}}, d.batches, "whoever left before its batch began is not in it")

		_, err := d.Do(ctx, 4)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, d.batches, 2)
		d.close()
	})
}

func TestManyMayLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoubler(t, coalesce.Config[int, int]{ItemsMax: 3})
		first := d.goDo(t.Context(), 0)
		ctx, cancel := context.WithCancel(t.Context())
		var left, stayed []<-chan result
		for in := 1; in <= 20; in++ {
			if in%4 == 0 {
				stayed = append(stayed, d.goDo(t.Context(), in))
			} else {
				left = append(left, d.goDo(ctx, in))
			}
		}
		cancel()
		for _, result := range left {
			require.ErrorIs(t, (<-result).err, context.Canceled)
		}
		require.NoError(t, (<-first).err)
		for i, result := range stayed {
			require.Equal(t, 8*(i+1), (<-result).out)
		}
		require.Equal(t, [][]int{{0}, {4, 8, 12, 16, 20}}, d.batches)
		d.close()
	})
}

func TestCloseLetsThoseFinishWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoubler(t, coalesce.Config[int, int]{})
		first, second := d.goDo(t.Context(), 1), d.goDo(t.Context(), 2)
		d.close()
		require.Equal(t, result{out: 2}, <-first)
		require.Equal(t, result{out: 4}, <-second)
		_, err := d.Do(t.Context(), 3)
		require.ErrorIs(t, err, coalesce.ErrClosed)
		d.close()
	})
}

func TestCloseThatGivesUpEndsTheCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := coalesce.New(coalesce.Config[int, int]{
			Parallel: 1, ItemsMax: 1,
			Call: func(ctx context.Context, _ []int) ([]int, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		require.NoError(t, err)
		d := &doubler{Coalescer: c, t: t}
		first, second := d.goDo(t.Context(), 1), d.goDo(t.Context(), 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, d.Close(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, (<-first).err, context.Canceled)
		require.ErrorIs(t, (<-second).err, context.Canceled)
	})
}

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := coalesce.New(coalesce.Config[int, int]{Weigh: func(int) (int, int) { return 1, 1 }})
	for _, name := range []string{"call", "parallel", "items_max", "bytes_max"} {
		require.ErrorContains(t, err, name)
	}
}

// TestEveryCallerGetsItsOwnAnswer: any inputs, bounds, durations and departures.
func TestEveryCallerGetsItsOwnAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		parallel := rapid.IntRange(1, 3).Draw(rt, "parallel")
		itemsMax := rapid.IntRange(1, 5).Draw(rt, "items max")
		arrivals := rapid.SliceOfN(rapid.IntRange(0, 1500), 1, 30).Draw(rt, "arrivals (ms)")
		patience := rapid.SliceOfN(rapid.IntRange(1, 20_000), len(arrivals), len(arrivals)).Draw(rt, "patience (ms)")
		synctest.Test(t, func(t *testing.T) {
			d := newDoubler(t, coalesce.Config[int, int]{
				Parallel: parallel, ItemsMax: 100, BytesMax: itemsMax, Weigh: func(int) (int, int) { return 1, 1 },
			})
			var callers sync.WaitGroup
			for in := range arrivals {
				callers.Go(func() {
					<-time.After(time.Duration(arrivals[in]) * time.Millisecond)
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(patience[in])*time.Millisecond)
					defer cancel()
					out, err := d.Do(ctx, in)
					if err == nil && out != 2*in || err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("input %d: %d, %v", in, out, err)
					}
				})
			}
			callers.Wait()
			d.close()
			seen := map[int]int{}
			for _, batch := range d.batches {
				require.LessOrEqual(t, len(batch), itemsMax)
				for _, in := range batch {
					seen[in]++
					require.Equal(t, 1, seen[in], "B1")
				}
			}
			require.LessOrEqual(t, d.underMax, parallel, "B3")
		})
	})
}

// BenchmarkDo is what coalescing costs and saves: the call itself does nothing.
func BenchmarkDo(b *testing.B) {
	calls := 0
	c, err := coalesce.New(coalesce.Config[int, int]{
		Parallel: 1, ItemsMax: 512,
		Call: func(_ context.Context, batch []int) ([]int, error) {
			calls++
			return batch, nil
		},
	})
	require.NoError(b, err)
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Do(b.Context(), 1); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/float64(calls), "inputs/call")
	require.NoError(b, c.Close(b.Context()))
}
