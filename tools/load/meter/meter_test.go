package meter

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDescendantsCount(t *testing.T) {
	t.Parallel()
	stats := map[int]stat{1: {}, 10: {parent: 1}, 11: {parent: 10}, 12: {parent: 11}, 20: {parent: 10}, 21: {parent: 20}}
	members, err := families([]Process{{Name: "server", PID: 10}, {Name: "postgres", PID: 20}}, stats)
	require.NoError(t, err)
	require.ElementsMatch(t, []int{10, 11, 12}, members["server"])
	require.ElementsMatch(t, []int{20, 21}, members["postgres"], "a process with a name of its own")

	_, err = families([]Process{{Name: "gone", PID: 99}}, stats)
	require.ErrorContains(t, err, "no process 99 (gone)")
}

// Time that a child has used is not lost when it ends.
func TestEndedChildrenCount(t *testing.T) {
	t.Parallel()
	self := []Process{{Name: "test", PID: os.Getpid()}}
	before, err := cpuTimes(self)
	require.NoError(t, err)
	require.NoError(t, exec.Command("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done").Run())
	after, err := cpuTimes(self)
	require.NoError(t, err)
	require.Greater(t, after["test"]-before["test"], 20*time.Millisecond)

	sizes, err := memories(self)
	require.NoError(t, err)
	require.Greater(t, sizes["test"], int64(1<<20))
}

func TestRedisCommandsAreCountedApart(t *testing.T) {
	t.Parallel()
	before, err := parseInfo("# Memory\r\nused_memory:1000\r\ncmdstat_evalsha:calls=5,usec=1\r\ncmdstat_info:calls=1,usec=1\r\n")
	require.NoError(t, err)
	after, err := parseInfo("used_memory:3000\r\ncmdstat_evalsha:calls=25,usec=1\r\ncmdstat_zadd:calls=40,usec=1\r\n" +
		"cmdstat_client|setinfo:calls=2,usec=1\r\ncmdstat_info:calls=9,usec=1\r\n")
	require.NoError(t, err)
	d := difference{work: Work{Unit: "run", Count: 10}}
	d.redis(before, after, map[string]bool{"evalsha": true})
	require.Equal(t, []Number{
		{Name: "Redis commands per run", Value: 6.2},
		{Name: "Redis commands, top level per run", Value: 2.2},
		{Name: "Redis commands, inside scripts per run", Value: 4},
		{Name: "Redis zadd per run", Value: 4},
		{Name: "Redis evalsha per run", Value: 2},
		{Name: "Redis client|setinfo per run", Value: 0.2},
		{Name: "Redis memory bytes grown per run", Value: 200},
	}, d.numbers)

	_, err = parseInfo("used_memory:12\n")
	require.ErrorContains(t, err, "no commandstats")
}

func TestSumIsOfAllProcesses(t *testing.T) {
	t.Parallel()
	d := difference{work: Work{Unit: "run", Count: 2}}
	d.add("CPU ms", "a", 2)
	d.sum("CPU ms")
	require.Len(t, d.numbers, 1, "one process needs no sum")
	d.add("CPU ms", "b", 4)
	d.sum("CPU ms")
	require.Equal(t, Number{Name: "CPU ms per run", Value: 3}, d.numbers[2])
}

func TestStatementsAreCountedByName(t *testing.T) {
	t.Parallel()
	d := difference{work: Work{Unit: "event", Count: 2}}
	d.statements(
		map[string]statement{"WaitsFor": {calls: 1, millis: 1, blocks: 10}, "Idle": {calls: 5, millis: 5, blocks: 5}},
		map[string]statement{
			"WaitsFor": {calls: 3, millis: 2, blocks: 18}, "Idle": {calls: 5, millis: 5, blocks: 5},
			"other": {calls: 2, millis: 4, blocks: 2},
		})
	require.Equal(t, []Number{
		{Name: "Postgres statements per event", Value: 2},
		{Name: "Postgres statements, ms per event", Value: 2.5},
		{Name: "Postgres statements, blocks per event", Value: 5},
		{Name: "Postgres other, ms per event", Value: 2},
		{Name: "Postgres other, blocks per event", Value: 1},
		{Name: "Postgres WaitsFor, ms per event", Value: 0.5},
		{Name: "Postgres WaitsFor, blocks per event", Value: 4},
	}, d.numbers)
}
