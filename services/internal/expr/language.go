package expr

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/containers"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/stdlib"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
)

// language is everything compilations share. It never changes once built.
type language struct {
	parser    *parser.Parser
	checker   *checker.Env
	functions map[string]*function
	typeNames map[string]*types.Type
}

// shared builds the language when the first expression is compiled.
var shared = sync.OnceValues(newLanguage) //nolint:gochecknoglobals // immutable once built, and costly to build

func newLanguage() (*language, error) {
	// The recursive descent of the default parser is not bounded by its input, that of the Pratt parser is (I1). No
	// macros are given to it: they are planned as nodes of their own, which know what to do with a missing list.
	p, err := parser.NewParser(
		parser.EnablePrattParser(true),
		parser.MaxRecursionDepth(nestingMax),
		parser.ExpressionSizeCodePointLimit(sourceBytesMax),
	)
	if err != nil {
		return nil, fmt.Errorf("configure parser: %w", err)
	}
	functions, err := standardFunctions()
	if err != nil {
		return nil, err
	}
	for _, f := range extraFunctions() {
		functions[f.name] = f
	}
	env, err := newChecker()
	if err != nil {
		return nil, fmt.Errorf("configure type checker: %w", err)
	}
	return &language{parser: p, checker: env, functions: functions, typeNames: typeNames()}, nil
}

// newChecker declares what cancel conditions are checked against. The functions outside the policy have been refused
// by then, so it does not matter that all standard ones are declared.
func newChecker() (*checker.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	env, err := checker.NewEnv(containers.DefaultContainer, registry, checker.CrossTypeNumericComparisons(true))
	if err != nil {
		return nil, err
	}
	for name := range roots() {
		if err := env.AddIdents(decls.NewVariable(name, types.DynType)); err != nil {
			return nil, err
		}
	}
	for _, f := range stdlib.Functions() {
		if f.IsDeclarationDisabled() {
			continue
		}
		if err := env.AddFunctions(f); err != nil {
			return nil, err
		}
	}
	return env, nil
}

// typeNames are the identifiers that stand for types, as in type(event.data.x) == string.
func typeNames() map[string]*types.Type {
	return map[string]*types.Type{
		"bool": types.BoolType, "bytes": types.BytesType, "double": types.DoubleType, "int": types.IntType,
		"list": types.ListType, "map": types.MapType, "null_type": types.NullType, "string": types.StringType,
		"type": types.TypeType, "uint": types.UintType,
	}
}

// tree is a parsed expression.
type tree struct {
	origin origin
	source common.Source
	ast    *ast.AST
}

func (l *language) parse(text string) (*tree, error) {
	at := origin{text: text}
	switch {
	case len(text) > sourceBytesMax:
		return nil, at.errorAtStart(fmt.Sprintf("expression has %d bytes, more than %d", len(text), sourceBytesMax))
	case !utf8.ValidString(text):
		return nil, at.errorAtStart("expression is not valid UTF-8")
	case strings.TrimSpace(text) == "":
		return nil, at.errorAtStart("expression is empty")
	}
	src := common.NewTextSource(text)
	parsed, problems := l.parser.Parse(src)
	if err := at.firstProblem(problems); err != nil {
		return nil, err
	}
	at.info = parsed.SourceInfo()
	return &tree{origin: at, source: src, ast: parsed}, nil
}

// checkTypes reports operands that could never have the type their operator needs.
func (l *language) checkTypes(t *tree) error {
	_, problems := checker.Check(t.ast, t.source, l.checker)
	return t.origin.firstProblem(problems)
}

// firstProblem returns the first of the problems cel-go reports; the later ones tend to follow from it.
func (o origin) firstProblem(problems *common.Errors) error {
	if problems == nil || len(problems.GetErrors()) == 0 {
		return nil
	}
	first := problems.GetErrors()[0]
	if strings.Contains(first.Message, "recursion limit exceeded") {
		return o.errorAtStart(fmt.Sprintf("expression is nested deeper than %d levels", nestingMax))
	}
	initial, size := utf8.DecodeRuneInString(first.Message)
	if size == 0 {
		return errors.New("parse expression: no reason given")
	}
	return o.errorAt(first.Location, string(unicode.ToLower(initial))+first.Message[size:])
}
