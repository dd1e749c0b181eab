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
	// keyEpoch is a string: when the shard was last rebuilt.
	keyEpoch = "epoch"
	// keyLock is what the keys of the locks begin with; the name follows. A lock is a string: its owner.
	keyLock = "lock"
)

// isKey returns whether a shard has a key of this name.
func isKey(name string) bool {
	switch name {
	case keyItems, keyLane, keyRing, keyDelayed, keyLeased, keyDead, keyReasons, keyWake, keyEpoch, keyLock:
		return true
	}
	return false
}

// named is the key of the shard that scripts know by a name.
func (k keys) named(name string) string {
	if name == keyLane {
		return k.prefix + name + ":"
	}
	return k.prefix + name
}

// lock is the key of a lock.
func (k keys) lock(name string) string { return k.prefix + keyLock + ":" + name }
