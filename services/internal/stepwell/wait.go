package stepwell

import (
	"crypto/sha256"
	"encoding/json"
	"strconv"
	"strings"
)

// EventNames are the names by which triggers and waits may have asked for an event: its own, and its prefixes up to each
// / and . with a wildcard: `a/b.c` is also `a/*` and `a/b.*`. No wildcard reaches the server's own events.
func EventNames(name string) []string {
	names := []string{name}
	if strings.HasPrefix(strings.ToLower(name), InternalEventPrefix) {
		return names
	}
	for i := range len(name) {
		if name[i] == '/' || name[i] == '.' {
			names = append(names, name[:i+1]+"*")
		}
	}
	return names
}

// shapeSeparator is between the paths of a shape, and pathSeparator between the members of a path. No member that has
// one of them in its name is part of a shape.
const (
	shapeSeparator = "\n"
	pathSeparator  = "."
	// keyHashBytes is how much of a hash is kept. A false hit costs one look more.
	keyHashBytes = 16
)

// Equality says that a wait wants a value at a path of the arriving event.
type Equality struct {
	// Path are the names of nested members: data, id.
	Path []string
	// Value is a string, float64 or bool, or nil, for a member that is null or missing.
	Value any
}

// NewShape is the shape of a wait with these equalities, and the hash of the values. Both are empty for none.
func NewShape(equalities []Equality) (shape string, keyHash []byte) {
	paths, texts := make([]string, len(equalities)), make([]string, len(equalities))
	for i, e := range equalities {
		paths[i], texts[i] = strings.Join(e.Path, pathSeparator), scalar(e.Value)
	}
	if len(equalities) == 0 {
		return "", nil
	}
	return strings.Join(paths, shapeSeparator), hashOf(texts)
}

// InShape tells whether a member of this name can be part of a shape.
func InShape(member string) bool {
	return member != "" && !strings.ContainsAny(member, shapeSeparator+pathSeparator)
}

// KeyHash is the hash of what an event has at the paths of a shape: a wait of that shape can only be for the event if
// its own hash is the same. The variables are the event's; it is nil for an empty shape.
func KeyHash(shape string, variables map[string]any) []byte {
	if shape == "" {
		return nil
	}
	paths := strings.Split(shape, shapeSeparator)
	texts := make([]string, len(paths))
	for i, path := range paths {
		var value any = variables
		for name := range strings.SplitSeq(path, pathSeparator) {
			object, _ := value.(map[string]any)
			value = object[name]
		}
		texts[i] = scalar(value)
	}
	return hashOf(texts)
}

// Variables are the event as expressions see it, as `event` or `async`.
func (e Event) Variables() map[string]any {
	object := func(raw json.RawMessage) any {
		var value map[string]any
		if json.Unmarshal(raw, &value) != nil {
			return map[string]any{}
		}
		return value
	}
	members := map[string]any{
		"id": e.PublicID(), "name": e.Name, "ts": float64(e.Time.UnixMilli()),
		"data": object(e.Data), "user": object(e.User),
	}
	if e.Version != "" {
		members["v"] = e.Version
	}
	return members
}

// scalar is a text that is the same for equal values. What is no scalar equals none that a shape has.
func scalar(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case float64:
		if v == 0 {
			return "0" // -0 is the same
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return strconv.Quote(v)
	}
	return "other"
}

func hashOf(texts []string) []byte {
	sum := sha256.Sum256([]byte(strings.Join(texts, shapeSeparator)))
	return sum[:keyHashBytes]
}
