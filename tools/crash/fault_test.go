package main

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheSameSeedDrawsTheSame(t *testing.T) {
	t.Parallel()
	faults := func(seed uint64) []fault { return draw(rand.New(rand.NewPCG(seed, 1)), 8, burst) }
	first, other := faults(7), faults(8)
	require.Equal(t, first, faults(7))
	require.NotEqual(t, first, other)
	requests := func(seed uint64) []request { return compose(rand.New(rand.NewPCG(seed, 2)), seed, 100) }
	published := requests(7)
	require.Equal(t, published, requests(7))
}

func TestManyFaultsAreOfAllKinds(t *testing.T) {
	t.Parallel()
	drawn := map[string]int{}
	for _, f := range draw(rand.New(rand.NewPCG(1, 1)), len(cards()), burst) {
		drawn[f.name()]++
		require.Less(t, f.at, burst)
	}
	for _, card := range cards() {
		require.Positive(t, drawn[card.name()], card.name())
	}
}
