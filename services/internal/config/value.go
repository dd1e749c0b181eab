package config

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// given is a value as a source gives it. Its fields are exported because koanf copies values by reflection.
type given struct {
	// Texts are the elements of a list; otherwise there is one.
	Texts []string
	// List says that the source knows that it is a list; otherwise commas are between elements.
	List   bool
	Source string
}

func isSecret(t reflect.Type) bool {
	return t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[[]Secret]()
}

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// isScalar tells whether a field of the type has one value that can be written as text.
func isScalar(t reflect.Type) bool {
	if t == reflect.TypeFor[Secret]() || isText(t) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	default:
		return false
	}
}

func isList(t reflect.Type) bool { return t.Kind() == reflect.Slice && isScalar(t.Elem()) }

// kindOf is a type's name for people.
func kindOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Secret]():
		return "secret"
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[Bytes]():
		return "size"
	case isText(t):
		return strings.ToLower(t.Name())
	case isList(t):
		return "list of " + kindOf(t.Elem())
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "bool"
	default:
		return "number"
	}
}

// textOf is the value of a field as a person would write it; of a secret, what may be shown.
func textOf(value reflect.Value) string {
	if isList(value.Type()) {
		texts := make([]string, value.Len())
		for i := range texts {
			texts[i] = textOf(value.Index(i))
		}
		return strings.Join(texts, ",")
	}
	switch v := value.Interface().(type) {
	case time.Duration:
		return formatDuration(v)
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			return ""
		}
		return string(text)
	default:
		return fmt.Sprint(v)
	}
}

// set gives the setting a value.
func (s *setting) set(value given, problems *LoadError) {
	target := s
	if s.secret != nil {
		target = s.secret
		content, err := readSecret(strings.Join(value.Texts, ","))
		if err != nil {
			problems.add("%s: %s: %w", value.Source, s.key, err)
			return
		}
		target.source = "file " + strings.Join(value.Texts, ",") + ", named by " + value.Source
		value = given{Texts: []string{content}, Source: value.Source}
		if isList(target.field.Type()) {
			value.Texts, value.List = strings.Fields(content), true
		}
	}
	if err := decode(target.field, value); err != nil {
		problems.add("%s: %s: %w", value.Source, s.key, err)
	}
}

// secretBytesMax bounds a file with a secret.
const secretBytesMax = 64 << 10

// readSecret reads the file, without the white space around what is in it. The error tells nothing of it.
func readSecret(path string) (string, error) {
	content, err := os.ReadFile(path) //nolint:gosec // it is whoever runs the program that names the file
	if err != nil {
		return "", err
	}
	if len(content) > secretBytesMax {
		return "", fmt.Errorf("%s is larger than %d bytes", path, secretBytesMax)
	}
	text := strings.TrimSpace(string(content))
	if text == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return text, nil
}

// decode puts a value into a field.
func decode(field reflect.Value, value given) error {
	if !isList(field.Type()) {
		if value.List {
			return fmt.Errorf("a list, where one %s is needed", kindOf(field.Type()))
		}
		return decodeScalar(field, strings.Join(value.Texts, ","))
	}
	texts := value.Texts
	if !value.List {
		texts = splitList(texts)
	}
	list := reflect.MakeSlice(field.Type(), len(texts), len(texts))
	for i, text := range texts {
		if err := decodeScalar(list.Index(i), text); err != nil {
			return err
		}
	}
	field.Set(list)
	return nil
}

// splitList splits texts at commas. Empty elements are left out, so that a trailing comma does no harm.
func splitList(texts []string) []string {
	list := []string{}
	for element := range strings.SplitSeq(strings.Join(texts, ","), ",") {
		if element = strings.TrimSpace(element); element != "" {
			list = append(list, element)
		}
	}
	return list
}

func decodeScalar(field reflect.Value, text string) error {
	switch target := field.Addr().Interface().(type) {
	case *Secret:
		*target = NewSecret(text)
		return nil
	case *time.Duration:
		d, err := parseDuration(text)
		*target = d
		return err
	case encoding.TextUnmarshaler:
		return target.UnmarshalText([]byte(text))
	}
	var err error
	switch kind := field.Kind(); {
	case kind == reflect.String:
		field.SetString(text)
	case kind == reflect.Bool:
		var b bool
		if b, err = strconv.ParseBool(text); err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		field.SetBool(b)
	case field.CanInt():
		var n int64
		if n, err = strconv.ParseInt(text, 10, field.Type().Bits()); err == nil {
			field.SetInt(n)
		}
	case field.CanUint():
		var n uint64
		if n, err = strconv.ParseUint(text, 10, field.Type().Bits()); err == nil {
			field.SetUint(n)
		}
	default:
		var n float64
		if n, err = strconv.ParseFloat(text, field.Type().Bits()); err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		field.SetFloat(n)
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%q is too large", text)
	case err != nil:
		return fmt.Errorf("%q is not a whole number", text)
	}
	return nil
}
