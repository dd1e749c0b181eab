package redisqueue

import "fmt"

// keys are the names of a shard's keys. All have the shard's number as their hash tag, so they are in one slot of a
// cluster and a script may touch all of them. This file is the only one that makes names of keys.
type keys struct{ prefix string }

// shardKeys are the keys of a shard.
func shardKeys(prefix string, shard int) keys {
	return keys{prefix: fmt.Sprintf("%s:{%d}:", prefix, shard)}
}

// countKey holds the number of shards.
func countKey(prefix string) string { return prefix + ":shards" }

// The keys of a shard, by the names that the scripts use.
const (
	// keyItems is a hash: item id → value.
	keyItems = "items"
	// keyLane is what the keys of the lanes begin with; the lane follows. A lane is a sorted set: item id → due time -
	// priority.
	keyLane = "lane"
	// keyRing is a sorted set: lane → turn.
	keyRing = "ring"
	// keyDelayed is a sorted set: item id → due time.
	keyDelayed = "delayed"
	// keyLeased is a sorted set: item id → expiry.
	keyLeased = "leased"
	// keyDead is a sorted set: item id → when it died.
	keyDead = "dead"
	// keyReasons is a hash: id of a dead item → reason.
	keyReasons = "reasons"
	// keyWake is a sorted set with one member at most, the token that wakes one of those who wait.
	keyWake = "wake"
	// keyLimits is a hash: function → what it is limited to.
	keyLimits = "limits"
	// keySlots and keyStarts are what the keys of limits begin with; the limit's set follows. A set is a sorted set: id of a
	// leased item → expiry, or id of the first item of a run → when it was leased.
	keySlots  = "slots"
	keyStarts = "starts"
	// keyParked is what the keys of places begin with, where lanes wait for a limit; the place follows. A place is a sorted
	// set: lane → turn.
	keyParked = "parked"
	// keyWaits begins keys by function. Each is a hash: lane → the place where it waits.
	keyWaits = "waits"
	// keySharers begins keys by set, of those that functions share. Each is a set: the functions of which lanes wait for it.
	keySharers = "sharers"
	// keyTimers is a sorted set: place → when it is to be looked after.
	keyTimers = "timers"
	// keyDepths is a hash: function → how many of its items are in lanes; and how many are in lanes that wait, of all functions.
	keyDepths = "depths"
	// keyEpoch is a string: when the shard was last rebuilt, since when items with limits are leased, and whether the windows of
	// throttles are known.
	keyEpoch = "epoch"
	// keyLock is what the keys of the locks begin with; the name follows. A lock is a string: its owner.
	keyLock = "lock"
)

// isKey returns whether a shard has a key of this name.
func isKey(name string) bool {
	switch name {
	case keyItems, keyLane, keyRing, keyDelayed, keyLeased, keyDead, keyReasons, keyWake, keyEpoch, keyLock,
		keyLimits, keySlots, keyStarts, keyParked, keyWaits, keySharers, keyTimers, keyDepths:
		return true
	}
	return false
}

// begins tells whether the key is only what the names of keys begin with.
func begins(name string) bool {
	switch name {
	case keyLane, keySlots, keyStarts, keyParked, keyWaits, keySharers:
		return true
	}
	return false
}

// named is the key of the shard that scripts know by a name.
func (k keys) named(name string) string {
	if begins(name) {
		return k.prefix + name + ":"
	}
	return k.prefix + name
}

// lock is the key of a lock.
func (k keys) lock(name string) string { return k.prefix + keyLock + ":" + name }
