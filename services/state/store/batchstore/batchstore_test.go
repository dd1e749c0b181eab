package batchstore_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/batchstore"
	"github.com/stepwell/stepwell/services/state/store/memstore"
	"github.com/stepwell/stepwell/services/state/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		s, err := batchstore.New(memstore.New(memstore.DefaultConfig()), batchstore.DefaultConfig())
		require.NoError(t, err)
		return s
	})
}

// slowStore takes a second for a commit, and tells how large they were.
type slowStore struct {
	store.Store
	mu      sync.Mutex
	batches []int
	err     error
}

func (s *slowStore) Commit(_ context.Context, transitions []stepwell.Transition) ([]store.Committed, error) {
	<-time.After(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, len(transitions))
	results := make([]store.Committed, len(transitions))
	for i, t := range transitions {
		results[i].Dropped = []stepwell.ItemID{t.Settles}
	}
	return results, s.err
}

func transitions(n int, name string) []stepwell.Transition {
	all := make([]stepwell.Transition, n)
	for i := range all {
		all[i].Settles = stepwell.ItemID(name)
	}
	return all
}

func TestCallersOfOneMomentShareACall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &slowStore{}
		s, err := batchstore.New(slow, batchstore.Config{Parallel: 1, ItemsMax: 5, BytesMax: 100})
		require.NoError(t, err)
		commit := func(transitions []stepwell.Transition) {
			go func() { // ends within the bubble
				results, err := s.Commit(t.Context(), transitions)
				if err != nil || len(results) != len(transitions) {
					t.Errorf("%d transitions got %d results and the error %v", len(transitions), len(results), err)
				}
				for i, result := range results {
					if !slices.Equal(result.Dropped, []stepwell.ItemID{transitions[i].Settles}) {
						t.Errorf("%s got another's result: %v", transitions[i].Settles, result.Dropped)
					}
				}
			}()
			synctest.Wait()
		}
		commit(transitions(1, "first"))
		commit(transitions(2, "a"))
		commit(transitions(2, "b"))
		commit(transitions(2, "more than 5 items"))
		large := transitions(1, "more than 100 bytes")
		large[0].End = &stepwell.End{Output: json.RawMessage(`"` + strings.Repeat("x", 90) + `"`)}
		large[0].Records = []stepwell.Step{{Result: stepwell.Result{JSON: json.RawMessage(`"0123456789"`)}}}
		commit(large)
		commit(transitions(7, "larger than a batch"))
		<-time.After(time.Minute)
		synctest.Wait()
		require.Equal(t, []int{1, 4, 2, 1, 7}, slow.batches)
	})
}

// TestCommitThatIsTooLargeIsSeveral: whatever it is that makes the transitions large.
func TestCommitThatIsTooLargeIsSeveral(t *testing.T) {
	t.Parallel()
	slow := &slowStore{}
	s, err := batchstore.New(slow, batchstore.Config{Parallel: 1, ItemsMax: 10, BytesMax: 100})
	require.NoError(t, err)
	large := json.RawMessage(`"` + strings.Repeat("x", 58) + `"`)
	all := transitions(6, "x")
	all[0].End = &stepwell.End{Output: large}
	all[1].End = &stepwell.End{Emits: []stepwell.Event{{Data: large}}}
	all[2].End = &stepwell.End{Resumes: []stepwell.Resume{{Step: stepwell.Step{Result: stepwell.Result{JSON: large}}}}}
	all[3].Opens = []stepwell.Opening{{Emits: &stepwell.Event{User: large}}}
	results, err := s.Commit(t.Context(), all)
	require.NoError(t, err)
	require.Len(t, results, 6)
	require.Equal(t, []int{1, 1, 1, 3}, slow.batches)
}

func TestErrorIsEveryCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &slowStore{err: stepwell.ErrUnavailable}
		s, err := batchstore.New(slow, batchstore.DefaultConfig())
		require.NoError(t, err)
		failures := make(chan error)
		for range 5 {
			go func() { // awaited below
				_, err := s.Commit(t.Context(), transitions(1, "x"))
				failures <- err
			}()
		}
		for range 5 {
			require.ErrorIs(t, <-failures, stepwell.ErrUnavailable)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	behind := memstore.New(memstore.DefaultConfig())
	_, err := batchstore.New(behind, batchstore.Config{Parallel: 0, ItemsMax: 1, BytesMax: 1})
	require.ErrorContains(t, err, "parallel is 0")
	_, err = batchstore.New(behind, batchstore.Config{Parallel: 1, ItemsMax: store.TransitionsMax + 1, BytesMax: 1})
	require.ErrorContains(t, err, "items_max is 1025")
}
