package sdk

import (
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// escapeSize is the length of the escape that begins here; 0 if it is none.
func escapeSize(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		if _, ok := parseHex(b[2:6]); ok {
			return 6
		}
	}
	return 0
}

func parseHex(digits []byte) (rune, bool) {
	var r rune
	for _, d := range digits {
		switch {
		case '0' <= d && d <= '9':
			d -= '0'
		case 'a' <= d && d <= 'f':
			d -= 'a' - 10
		case 'A' <= d && d <= 'F':
			d -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

// isUnicode tells whether a string, as it is written in JSON, is text: in UTF-8 and without half of a surrogate pair.
func isUnicode(raw []byte) bool {
	if !utf8.Valid(raw) {
		return false
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		_, size, ok := unescape(raw[i:])
		if !ok {
			return false
		}
		i += size - 1
	}
	return true
}

// appendText appends what a string, as it is written in JSON, says. What is not text becomes U+FFFD.
func appendText(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		switch b := raw[i]; {
		case b == '\\':
			r, size, _ := unescape(raw[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
		case b < utf8.RuneSelf:
			dst = append(dst, b)
			i++
		default:
			r, size := utf8.DecodeRune(raw[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
		}
	}
	return dst
}

// unescape reads the escape, or the two of a surrogate pair, that begin here. It is not ok, and the rune is U+FFFD, if
// that is half of a pair.
func unescape(b []byte) (r rune, size int, ok bool) {
	switch b[1] {
	case 'b':
		return '\b', 2, true
	case 'f':
		return '\f', 2, true
	case 'n':
		return '\n', 2, true
	case 'r':
		return '\r', 2, true
	case 't':
		return '\t', 2, true
	case 'u':
		r, _ = parseHex(b[2:6])
		if !utf16.IsSurrogate(r) {
			return r, 6, true
		}
		if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
			low, _ := parseHex(b[8:12])
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 12, true
			}
		}
		return utf8.RuneError, 6, false
	default:
		return rune(b[1]), 2, true
	}
}

// appendQuoted appends text as a string in canonical form: escaped is only what must be.
func appendQuoted(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, b := range text {
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b >= ' ':
			dst = append(dst, b)
		case b == '\b':
			dst = append(dst, '\\', 'b')
		case b == '\f':
			dst = append(dst, '\\', 'f')
		case b == '\n':
			dst = append(dst, '\\', 'n')
		case b == '\r':
			dst = append(dst, '\\', 'r')
		case b == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&0xF])
		}
	}
	return append(dst, '"')
}

// readNumber returns where the number that begins here ends.
func (c *canonicalizer) readNumber(at int) (int, error) {
	end, ok := c.scanNumber(at)
	if !ok {
		return 0, c.unexpected(end)
	}
	if !isShortInteger(c.source[at:end]) {
		if _, err := strconv.ParseFloat(string(c.source[at:end]), 64); err != nil {
			c.repaired = true // out of range
		}
	}
	return end, nil
}

// scanNumber follows the grammar of JSON. If it is not ok, end is where it stopped.
func (c *canonicalizer) scanNumber(at int) (end int, ok bool) {
	digits := func() bool {
		first := at
		for isDigit(c.byteAt(at)) {
			at++
		}
		return at > first
	}
	if c.byteAt(at) == '-' {
		at++
	}
	if c.byteAt(at) == '0' {
		at++
	} else if !digits() {
		return at, false
	}
	if c.byteAt(at) == '.' {
		at++
		if !digits() {
			return at, false
		}
	}
	if b := c.byteAt(at); b == 'e' || b == 'E' {
		at++
		if b := c.byteAt(at); b == '+' || b == '-' {
			at++
		}
		if !digits() {
			return at, false
		}
	}
	return at, true
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// isShortInteger tells whether a number is its own canonical form at a glance: a whole one that JavaScript can hold.
func isShortInteger(number []byte) bool {
	const digitsMax = 15
	if len(number) > digitsMax {
		return false
	}
	for i, b := range number {
		if !isDigit(b) && (b != '-' || i > 0) {
			return false
		}
	}
	return string(number) != "-0"
}

// appendNumber appends a number as JavaScript writes it.
func appendNumber(dst, number []byte) []byte {
	if isShortInteger(number) {
		return append(dst, number...)
	}
	f, err := strconv.ParseFloat(string(number), 64)
	switch magnitude := math.Abs(f); {
	case err != nil:
		return append(dst, "null"...) // JavaScript reads infinity, for which JSON has no word
	case magnitude == 0:
		return append(dst, '0') // also for -0
	case magnitude >= 1e-6 && magnitude < 1e21:
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// Go writes two digits of exponent at least, JavaScript one: 1e-07.
	if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
		dst = append(dst[:n-2], dst[n-1])
	}
	return dst
}
