package expr

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Error is a problem with an expression, found while compiling or evaluating it.
type Error struct {
	// Source is the whole expression.
	Source string
	// Line and Column say where the problem is. Both start at 1; columns count characters.
	Line, Column int
	// Message says what the problem is.
	Message string
}

// Error returns the message behind its position, as in "1:15: unknown variable foo".
func (e *Error) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
}

// origin is the text of an expression with what is needed to find a node of its tree in it.
type origin struct {
	text string
	info *ast.SourceInfo
}

func (o origin) errorAtStart(message string) error {
	return o.errorAt(common.NewLocation(1, 0), message)
}

func (o origin) errorAtNode(id int64, format string, args ...any) error {
	return o.errorAt(o.locate(id), fmt.Sprintf(format, args...))
}

// evalError turns the error value an evaluation ended with into an *Error.
func (o origin) evalError(value ref.Val) error {
	failure, ok := value.(*types.Err)
	if !ok {
		return o.errorAtStart("evaluation failed")
	}
	return o.errorAtNode(failure.NodeID(), "%s", failure.String())
}

func (o origin) errorAt(at common.Location, message string) error {
	e := &Error{Source: o.text, Line: 1, Column: 1, Message: shorten(message)}
	if at.Line() >= 1 && at.Column() >= 0 {
		e.Line, e.Column = at.Line(), at.Column()+1
	}
	return e
}

// locate finds a node. The parser places a call at its parenthesis; people look for the name before it.
func (o origin) locate(id int64) common.Location {
	span, ok := o.info.GetOffsetRange(id)
	if !ok {
		return common.NoLocation
	}
	characters := []rune(o.text)
	start := int(span.Start)
	if start < len(characters) && characters[start] == '(' {
		for start > 0 && unicode.IsSpace(characters[start-1]) {
			start--
		}
		for start > 0 && isNameCharacter(characters[start-1]) {
			start--
		}
	}
	return o.info.GetLocationByOffset(int32(start))
}

func isNameCharacter(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// shorten cuts a message that quotes too much, between two characters.
func shorten(message string) string {
	if len(message) <= messageBytesMax {
		return message
	}
	cut := messageBytesMax
	for !utf8.RuneStart(message[cut]) {
		cut--
	}
	return message[:cut] + "…"
}
