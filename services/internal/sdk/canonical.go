package sdk

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// depthMax bounds how deep a document may be nested. Package json takes 10,000 levels of what users send, which the
// body of a call wraps in a few more.
const depthMax = 10_100

// objectsUsual and membersUsual are how many there is room for from the start; there may be more.
const (
	objectsUsual = 1 << 12
	membersUsual = 1 << 15
)

// canonical is a document in the canonical form of JSON (RFC 8785): members in the order of their names, no white
// space, one way to write each string and number.
type canonical struct {
	json []byte
	// repaired says that RFC 8785 has no form for the document, which readers therefore read differently: a name occurs
	// twice in an object, text is not Unicode, a number is out of range. The form is then of what JavaScript reads: the
	// last member, U+FFFD, null. It also says so of a member called toJSON, at which the JS SDK stops sorting.
	repaired bool
}

// canonicalize returns the canonical form of a document. It takes time and memory in proportion to the document,
// whatever is in it: one pass notes the members of each object in order, a second one writes each byte once. (The library
// that the Go SDK uses takes five times as long, and refuses what has no canonical form.)
func canonicalize(document []byte) (canonical, error) {
	if len(document) > math.MaxInt32 {
		return canonical{}, fmt.Errorf("%d bytes of JSON", len(document))
	}
	c := canonicalizer{
		source: document,
		// As much as a document of its size usually needs, so that it is allocated once.
		objects: make([]jsonObject, 0, min(len(document)/128+1, objectsUsual)),
		members: make([]jsonMember, 0, min(len(document)/24+1, membersUsual)),
	}
	end, err := c.read(c.skipSpace(0), 0)
	if err != nil {
		return canonical{}, err
	}
	if rest := c.skipSpace(end); rest != len(document) {
		return canonical{}, c.unexpected(rest)
	}
	written, _, _ := c.write(make([]byte, 0, len(document)), c.skipSpace(0), 0)
	return canonical{json: written, repaired: c.repaired}, nil
}

// canonicalizer holds what the first pass found out.
type canonicalizer struct {
	source []byte
	// objects are in the order in which they begin.
	objects []jsonObject
	// members are those of each object, side by side and in canonical order.
	members []jsonMember
	// pending are the members of the objects that are being read, the innermost one's last.
	pending []jsonMember
	// names are the names that were written with escapes or had to be repaired, in plain text. Their positions count on
	// from the end of the source.
	names    []byte
	repaired bool
}

// jsonObject is an object that was read.
type jsonObject struct {
	first, count int32 // its members
	end          int32 // where it ends in the source
	after        int32 // the next object that is not inside it
}

// jsonMember is a member of an object.
type jsonMember struct {
	name, nameEnd int32 // its name without quotes
	value         int32 // where its value begins in the source
	object        int32 // the first object that begins there or later
}

func (c *canonicalizer) unexpected(at int) error {
	if at >= len(c.source) {
		return errors.New("the JSON ends too early")
	}
	return fmt.Errorf("the JSON has an unexpected byte at %d", at)
}

func (c *canonicalizer) skipSpace(at int) int {
	for at < len(c.source) {
		switch c.source[at] {
		case ' ', '\t', '\n', '\r':
			at++
		default:
			return at
		}
	}
	return at
}

// byteAt is 0 beyond the end, which begins nothing in JSON.
func (c *canonicalizer) byteAt(at int) byte {
	if at < len(c.source) {
		return c.source[at]
	}
	return 0
}

// read reads the value that begins here and returns where it ends.
func (c *canonicalizer) read(at, depth int) (int, error) {
	switch c.byteAt(at) {
	case '{':
		return c.readObject(at, depth+1)
	case '[':
		return c.readArray(at, depth+1)
	case '"':
		end, plain, err := c.readString(at)
		if err == nil && !plain && !isUnicode(c.source[at+1:end-1]) {
			c.repaired = true
		}
		return end, err
	case 't', 'f', 'n':
		for _, literal := range []string{"true", "false", "null"} {
			if bytes.HasPrefix(c.source[at:], []byte(literal)) {
				return at + len(literal), nil
			}
		}
		return 0, c.unexpected(at)
	default:
		return c.readNumber(at)
	}
}

func (c *canonicalizer) readArray(at, depth int) (int, error) {
	if depth > depthMax {
		return 0, fmt.Errorf("the JSON is nested deeper than %d levels", depthMax)
	}
	at = c.skipSpace(at + 1)
	if c.byteAt(at) == ']' {
		return at + 1, nil
	}
	for {
		end, err := c.read(at, depth)
		if err != nil {
			return 0, err
		}
		at = c.skipSpace(end)
		switch c.byteAt(at) {
		case ']':
			return at + 1, nil
		case ',':
			at = c.skipSpace(at + 1)
		default:
			return 0, c.unexpected(at)
		}
	}
}

func (c *canonicalizer) readObject(at, depth int) (int, error) {
	if depth > depthMax {
		return 0, fmt.Errorf("the JSON is nested deeper than %d levels", depthMax)
	}
	index, mine := len(c.objects), len(c.pending)
	c.objects = append(c.objects, jsonObject{})
	at = c.skipSpace(at + 1)
	for more := c.byteAt(at) != '}'; more; {
		end, err := c.readMember(at, depth)
		if err != nil {
			return 0, err
		}
		at = c.skipSpace(end)
		switch c.byteAt(at) {
		case '}':
			more = false
		case ',':
			at = c.skipSpace(at + 1)
		default:
			return 0, c.unexpected(at)
		}
	}
	first := len(c.members)
	c.members = append(c.members, c.inOrder(c.pending[mine:])...)
	c.pending = c.pending[:mine]
	c.objects[index] = jsonObject{
		first: int32(first), count: int32(len(c.members) - first), end: int32(at + 1), after: int32(len(c.objects)),
	}
	return at + 1, nil
}

// readMember reads a name, a colon and a value.
func (c *canonicalizer) readMember(at, depth int) (int, error) {
	if c.byteAt(at) != '"' {
		return 0, c.unexpected(at)
	}
	end, plain, err := c.readString(at)
	if err != nil {
		return 0, err
	}
	m := jsonMember{name: int32(at + 1), nameEnd: int32(end - 1)}
	if raw := c.source[at+1 : end-1]; !plain {
		c.repaired = c.repaired || !isUnicode(raw)
		m.name = int32(len(c.source) + len(c.names))
		c.names = appendText(c.names, raw)
		m.nameEnd = int32(len(c.source) + len(c.names))
	}
	if string(c.nameOf(m)) == "toJSON" {
		c.repaired = true
	}
	at = c.skipSpace(end)
	if c.byteAt(at) != ':' {
		return 0, c.unexpected(at)
	}
	m.value, m.object = int32(c.skipSpace(at+1)), int32(len(c.objects))
	c.pending = append(c.pending, m)
	return c.read(int(m.value), depth)
}

func (c *canonicalizer) nameOf(m jsonMember) []byte {
	if beyond := m.name - int32(len(c.source)); beyond >= 0 {
		return c.names[beyond : m.nameEnd-int32(len(c.source))]
	}
	return c.source[m.name:m.nameEnd]
}

// inOrder sorts the members of an object by name, in place, and keeps the last one of each name.
func (c *canonicalizer) inOrder(members []jsonMember) []jsonMember {
	compare := func(a, b jsonMember) int { return compareUTF16(c.nameOf(a), c.nameOf(b)) }
	if !slices.IsSortedFunc(members, compare) {
		slices.SortStableFunc(members, compare)
	}
	kept := members[:0]
	for i, m := range members {
		if i+1 < len(members) && compare(m, members[i+1]) == 0 {
			c.repaired = true
			continue
		}
		kept = append(kept, m)
	}
	return kept
}

// compareUTF16 compares two texts in UTF-8 as the canonical form does: by their code units in UTF-16. That is the order
// of their bytes, but for what is beyond the basic plane: in UTF-16 it comes before U+E000.
func compareUTF16(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		order := int(a[i]) - int(b[i])
		if a[i] >= 0xEE && b[i] >= 0xEE && (a[i] >= 0xF0) != (b[i] >= 0xF0) {
			return -order
		}
		return order
	}
	return len(a) - len(b)
}

// write appends the canonical form of the value that begins here; object is the first object that begins here or
// later. It returns where the value ends, and the first object beyond.
func (c *canonicalizer) write(dst []byte, at int, object int32) ([]byte, int, int32) {
	switch c.source[at] {
	case '{':
		return c.writeObject(dst, object)
	case '[':
		dst = append(dst, '[')
		for at = c.skipSpace(at + 1); c.source[at] != ']'; {
			dst, at, object = c.write(dst, at, object)
			if at = c.skipSpace(at); c.source[at] == ',' {
				dst = append(dst, ',')
				at = c.skipSpace(at + 1)
			}
		}
		return append(dst, ']'), at + 1, object
	case '"':
		end, plain, _ := c.readString(at) // it was read before
		if plain {
			return append(dst, c.source[at:end]...), end, object
		}
		text := appendText(make([]byte, 0, end-at), c.source[at+1:end-1])
		return appendQuoted(dst, text), end, object
	case 't', 'n':
		return append(dst, c.source[at:at+4]...), at + 4, object
	case 'f':
		return append(dst, c.source[at:at+5]...), at + 5, object
	default:
		end, _ := c.scanNumber(at)
		return appendNumber(dst, c.source[at:end]), end, object
	}
}

func (c *canonicalizer) writeObject(dst []byte, object int32) ([]byte, int, int32) {
	o := c.objects[object]
	dst = append(dst, '{')
	for i, m := range c.members[o.first : o.first+o.count] {
		if i > 0 {
			dst = append(dst, ',')
		}
		if name := c.nameOf(m); int(m.name) < len(c.source) {
			dst = append(dst, '"')
			dst = append(dst, name...)
			dst = append(dst, '"')
		} else {
			dst = appendQuoted(dst, name)
		}
		dst = append(dst, ':')
		dst, _, _ = c.write(dst, int(m.value), m.object)
	}
	return append(dst, '}'), int(o.end), o.after
}

// readString returns where the string that begins here ends, and whether it is plain: without escapes and in UTF-8, and
// so its own canonical form.
func (c *canonicalizer) readString(at int) (end int, plain bool, err error) {
	plain = true
	ascii := true
	for i := at + 1; i < len(c.source); i++ {
		switch b := c.source[i]; {
		case b == '"':
			return i + 1, plain && (ascii || utf8.Valid(c.source[at+1:i])), nil
		case b == '\\':
			plain = false
			size := escapeSize(c.source[i:])
			if size == 0 {
				return 0, false, c.unexpected(i)
			}
			i += size - 1
		case b < ' ':
			return 0, false, c.unexpected(i)
		case b >= utf8.RuneSelf:
			ascii = false
		}
	}
	return 0, false, c.unexpected(len(c.source))
}
