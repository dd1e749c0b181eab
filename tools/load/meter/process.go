package meter

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a process to be counted, with all that descend from it.
type Process struct {
	Name string
	PID  int
}

// ParseProcess reads NAME=PID.
func ParseProcess(text string) (Process, error) {
	name, number, found := strings.Cut(text, "=")
	pid, err := strconv.Atoi(number)
	if !found || name == "" || err != nil || pid < 1 {
		return Process{}, fmt.Errorf("%q is not NAME=PID, such as stepwell=4711", text)
	}
	return Process{Name: name, PID: pid}, nil
}

// tick is the unit of CPU time in /proc: 1/USER_HZ, and USER_HZ is 100 on every Linux that Go runs on.
const tick = time.Second / 100

// stat is what /proc tells of a process.
type stat struct {
	parent int
	// cpu includes the processes that have descended from it, have ended, and were waited for.
	cpu time.Duration
}

// readStat reads /proc/PID/stat.
func readStat(pid int) (stat, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	// The command's name, in parentheses, may hold anything. After it come the state, the parent, and as 12th to 15th
	// the time in user mode and in the kernel, of the process and of its children that ended.
	end := bytes.LastIndexByte(text, ')')
	fields := strings.Fields(string(text[end+1:]))
	if end < 0 || len(fields) < 15 {
		return stat{}, fmt.Errorf("/proc/%d/stat cannot be read: %q", pid, text)
	}
	var s stat
	if s.parent, err = strconv.Atoi(fields[1]); err != nil {
		return stat{}, fmt.Errorf("the parent of process %d: %w", pid, err)
	}
	for _, field := range fields[11:15] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("the CPU time of process %d: %w", pid, err)
		}
		s.cpu += time.Duration(ticks) * tick
	}
	return s, nil
}

// readStats reads all processes of the machine.
func readStats() (map[int]stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	stats := map[int]stat{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue // not a process
		}
		switch s, err := readStat(pid); {
		case err == nil:
			stats[pid] = s
		case isGone(err): // it ended while we listed
		default:
			return nil, err
		}
	}
	return stats, nil
}

// readFamilies reads the processes of the machine and sorts out whose they are. It reads nothing where nobody is to be
// counted.
func readFamilies(processes []Process) (map[string][]int, map[int]stat, error) {
	if len(processes) == 0 {
		return nil, nil, nil
	}
	stats, err := readStats()
	if err != nil {
		return nil, nil, err
	}
	members, err := families(processes, stats)
	return members, stats, err
}

// families are the processes of the machine by the named process that they descend from, or are.
func families(processes []Process, stats map[int]stat) (map[string][]int, error) {
	names := map[int]string{}
	for _, process := range processes {
		if _, found := stats[process.PID]; !found {
			return nil, fmt.Errorf("there is no process %d (%s)", process.PID, process.Name)
		}
		names[process.PID] = process.Name
	}
	members := map[string][]int{}
	for pid := range stats {
		for ancestor := pid; ancestor > 0; ancestor = stats[ancestor].parent {
			if name, found := names[ancestor]; found {
				members[name] = append(members[name], pid)
				break
			}
		}
	}
	return members, nil
}

// cpuTimes is what the processes have used so far, by name.
func cpuTimes(processes []Process) (map[string]time.Duration, error) {
	members, stats, err := readFamilies(processes)
	if err != nil {
		return nil, err
	}
	times := map[string]time.Duration{}
	for name, pids := range members {
		for _, pid := range pids {
			times[name] += stats[pid].cpu
		}
	}
	return times, nil
}

// memories is the memory that the processes have now, by name: shared pages count in parts.
func memories(processes []Process) (map[string]int64, error) {
	members, _, err := readFamilies(processes)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for name, pids := range members {
		for _, pid := range pids {
			size, err := memory(pid)
			if err != nil {
				return nil, fmt.Errorf("memory of process %d (%s), which its own user and root may read: %w", pid, name, err)
			}
			sizes[name] += size
		}
	}
	return sizes, nil
}

// memory is the memory of a process, 0 if it has ended.
func memory(pid int) (int64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if isGone(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), "Pss:"); found {
			kibibytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kibibytes << 10, err
		}
	}
	return 0, errors.New("smaps_rollup has no Pss")
}

// isGone reports whether a process has ended, before or while it was read.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }
