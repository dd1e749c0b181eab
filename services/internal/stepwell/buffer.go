package stepwell

import (
	"crypto/sha256"
	"slices"
	"time"
)

// The bounds of batches (docs/limits.md).
const (
	// BatchSizeMax bounds Batch.SizeMax.
	BatchSizeMax = 1000
	// BatchBytesMax bounds the events of a batch together, but for the first one: as much as a single event may take.
	BatchBytesMax = EventBytesMax
)

// Buffering keeps a start back: its event waits in a buffer, from which a run is started later. A debounce keeps the latest
// event, a batch all of them.
type Buffering struct {
	// KeyHash finds the buffer within its function (BufferKeyHash).
	KeyHash []byte
	// SizeMax is how many events a batch takes; 0 for a debounce.
	SizeMax int
	// For is how long the buffer waits: a debounce from each event that it takes on, a batch from its first.
	For time.Duration
	// Within bounds how long a debounce waits after its first event; 0 for no bound.
	Within time.Duration
	// EventTime is the event's own time. A debounce takes no event that is older than the one it has.
	EventTime time.Time
	// Bytes is what the event takes.
	Bytes int
	// Displaced is what ends in the run that invoked the function if another event takes this one's place; nil if none did.
	Displaced *Resume
}

// Buffer holds events until its time comes, and takes further ones until then. It starts one run (I19).
type Buffer struct {
	// Run is the run that is to start, as far as it is known: it has no items, and is decided when the time comes.
	Run     Run
	KeyHash []byte
	// Batch tells batches from debounces.
	Batch bool
	// FirstAt is when its first event came, also if a later one took its place.
	FirstAt time.Time
	// FireAt is its time.
	FireAt time.Time
	// EventTime, Bytes and Displaced are those of Buffering; Bytes is of all its events.
	EventTime time.Time
	Bytes     int
	Displaced *Resume
}

// bufferKeyBytes is how much of the hash of a buffer's key is kept.
const bufferKeyBytes = 16

// BufferKeyHash is the hash of a buffer's key. All keys that cannot be evaluated are one.
func BufferKeyHash(batch, valid bool, text string) []byte {
	kind := "debounce"
	if batch {
		kind = "batch"
	}
	if !valid {
		kind, text = kind+" without a key", ""
	}
	hash := sha256.Sum256([]byte(kind + "\n" + text))
	return hash[:bufferKeyBytes]
}

// Put is what became of an event that was put into a buffer.
type Put struct {
	// Into is the buffer that has taken it, or that goes on without it.
	Into *Buffer
	// Lost is the buffer of which no run will start, because a debounce has a later event or gets one: that of the event
	// itself, or the one before; nil if there is none.
	Lost *Buffer
	// FiresAt is when the first of the buffers is to fire that have changed.
	FiresAt time.Time
}

// Put has the latest buffer of a key, nil if there is none, take the event of a start, or another one if its time has come.
func (b *Buffer) Put(start RunStart) Put {
	with, now := *start.Buffering, start.Run.CreatedAt
	own := &Buffer{
		Run: pending(start.Run), KeyHash: with.KeyHash, Batch: with.SizeMax > 0, FirstAt: now, FireAt: now.Add(with.For),
		EventTime: with.EventTime, Bytes: with.Bytes, Displaced: with.Displaced,
	}
	open := b != nil && b.FireAt.After(now)
	switch {
	case own.Batch && open:
		return b.join(own, with.SizeMax, now)
	case own.Batch || !open:
		own.FireAt = own.within(with.Within)
		return Put{Into: own, FiresAt: own.FireAt}
	case own.EventTime.Before(b.EventTime):
		return Put{Into: b, Lost: own, FiresAt: b.FireAt}
	}
	own.FirstAt = b.FirstAt
	own.FireAt = own.within(with.Within)
	return Put{Into: own, Lost: b, FiresAt: own.FireAt}
}

// join has a batch take the event of another, unless it would be too large; then it waits no longer.
func (b *Buffer) join(other *Buffer, sizeMax int, now time.Time) Put {
	if len(b.Run.Events) >= sizeMax || b.Bytes+other.Bytes > BatchBytesMax {
		b.FireAt = now
		return Put{Into: other, FiresAt: now}
	}
	b.Run.Events = append(slices.Clip(b.Run.Events), other.Run.Events...)
	b.Bytes += other.Bytes
	if len(b.Run.Events) >= sizeMax {
		b.FireAt = now
	}
	return Put{Into: b, FiresAt: b.FireAt}
}

// within is the buffer's time, but no later than so long after its first event.
func (b *Buffer) within(most time.Duration) time.Time {
	if last := b.FirstAt.Add(most); most > 0 && b.FireAt.After(last) {
		return last
	}
	return b.FireAt
}

// Missed is the run of a buffer of which none starts.
func (b *Buffer) Missed() Run { return b.Run.Skipped(SkipDebounced) }

// Displace is what changes in the run that invoked the function whose event has no buffer any more; ok is false if none did.
func (b *Buffer) Displace(now time.Time) (t Transition, ok bool) {
	if b.Displaced == nil {
		return Transition{}, false
	}
	resume := *b.Displaced
	resume.Step.EndedAt = now
	return resume.Transition(b.Run.Environment, now), true
}

// pending is what is known of a run that is to be decided later.
func pending(run Run) Run {
	return Run{
		ID: run.ID, Environment: run.Environment, Function: run.Function, FunctionVersion: run.FunctionVersion,
		Events: run.Events, EventName: run.EventName, CreatedAt: run.CreatedAt,
	}
}
