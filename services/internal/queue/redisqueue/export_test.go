package redisqueue

import (
	"reflect"
	"time"
)

// ScriptHashes are what Redis knows the scripts by, by their names.
func ScriptHashes() (map[string]string, error) {
	loaded, err := loadScripts()
	hashes := map[string]string{}
	for _, value := range reflect.ValueOf(loaded).Fields() {
		hashes[value.Elem().FieldByName("name").String()] = value.Elem().FieldByName("hash").String()
	}
	return hashes, err
}

// WithoutPolling keeps those who wait from looking for themselves: only a token wakes them.
func (q *Queue) WithoutPolling() { q.pollEvery = time.Hour }
