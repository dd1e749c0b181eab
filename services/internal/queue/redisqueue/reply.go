package redisqueue

import "strconv"

// The answers of our scripts are lists of texts, numbers and lists. These read them; what is not there is empty.

// element is an element of a list.
func element(list any, i int) any {
	elements, _ := list.([]any)
	if i >= len(elements) {
		return nil
	}
	return elements[i]
}

// texts is a list of texts.
func texts(list any) []string {
	elements, _ := list.([]any)
	read := make([]string, len(elements))
	for i, e := range elements {
		read[i], _ = e.(string)
	}
	return read
}

// number is a whole number, as such or as a text.
func number(value any) int64 {
	if n, ok := value.(int64); ok {
		return n
	}
	text, _ := value.(string)
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return n
	}
	score, _ := strconv.ParseFloat(text, 64) // a score beyond what Redis writes as a whole number
	return int64(score)
}
