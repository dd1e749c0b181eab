package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// keyDelimiter is between the parts of a key.
const keyDelimiter = "."

// The ends of the names under which a secret is read from a file.
const (
	fileKeySuffix  = "_file"
	fileEnvSuffix  = "_FILE"
	fileFlagSuffix = "-file"
)

func join(prefix, key string) string {
	if prefix == "" || key == "" {
		return prefix + key
	}
	return prefix + keyDelimiter + key
}

// structField is a field of a struct that can be set, or a section.
type structField struct {
	name, key, doc string
	value          reflect.Value
	section        bool
}

// fieldsOf returns the fields of a struct. The key of an embedded struct is empty.
func fieldsOf(value reflect.Value) []structField {
	var fields []structField
	for i := range value.NumField() {
		field := value.Type().Field(i)
		key := field.Tag.Get("koanf")
		if key == "-" || (!field.IsExported() && !field.Anonymous) {
			continue
		}
		f := structField{name: field.Name, key: key, doc: field.Tag.Get("doc"), value: value.Field(i)}
		f.section = f.value.Kind() == reflect.Struct && !isScalar(f.value.Type())
		fields = append(fields, f)
	}
	return fields
}

// describe adds the settings of a struct. The error names every field that cannot be one.
func (s *Settings) describe(value reflect.Value, prefix string) error {
	var problems []error
	wrong := func(field structField, format string, args ...any) {
		problems = append(problems, fmt.Errorf("field %s of %s: "+format,
			append([]any{field.name, value.Type()}, args...)...))
	}
	keyForm := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	for _, field := range fieldsOf(value) {
		embedded := field.section && field.key == ""
		switch {
		case !embedded && !keyForm.MatchString(field.key):
			wrong(field, "the tag koanf is %q, it must be in snake_case, or - for no setting", field.key)
		case field.section:
			problems = append(problems, s.describe(field.value, join(prefix, field.key)))
		case !isScalar(field.value.Type()) && !isList(field.value.Type()):
			wrong(field, "a %s cannot be loaded", field.value.Type())
		case field.doc == "":
			wrong(field, "the tag doc is missing")
		default:
			if err := s.add(field, join(prefix, field.key)); err != nil {
				wrong(field, "%w", err)
			}
		}
	}
	return errors.Join(problems...)
}

// add adds the setting of a field; for a secret also the one of its file.
func (s *Settings) add(field structField, key string) error {
	own := &setting{
		key: key, doc: field.doc, field: field.value, fallback: textOf(field.value), source: "default",
		env:  s.options.EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, keyDelimiter, "_")),
		flag: strings.NewReplacer(keyDelimiter, "-", "_", "-").Replace(key),
	}
	if err := s.index(own); err != nil || !isSecret(field.value.Type()) {
		return err
	}
	var path string
	return s.index(&setting{
		key: key + fileKeySuffix, env: own.env + fileEnvSuffix, flag: own.flag + fileFlagSuffix,
		doc: "file with what " + key + " is to be", field: reflect.ValueOf(&path).Elem(), source: "default", secret: own,
	})
}

func (s *Settings) index(added *setting) error {
	if isServiceLink(added.env, "") {
		return fmt.Errorf("the key %s has the variable %s, which Kubernetes may set", added.key, added.env)
	}
	for _, other := range s.settings {
		if other.key == added.key || other.env == added.env || other.flag == added.flag {
			return fmt.Errorf("the key %s has the same names as %s", added.key, other.key)
		}
	}
	s.settings = append(s.settings, added)
	s.byKey[added.key], s.byEnv[added.env], s.byFlag[added.flag] = added, added, added
	return nil
}

// addAliases gives settings their further names, and the files of secrets theirs.
func (s *Settings) addAliases() error {
	var problems []error
	alias := func(names map[string]*setting, name, key string, add func(*setting, string)) {
		target, known := s.byKey[key]
		if _, taken := names[name]; taken || !known {
			problems = append(problems, fmt.Errorf("alias %s for %s: there is no such key, or the name is taken", name, key))
			return
		}
		names[name] = target
		add(target, name)
	}
	toEnv := func(target *setting, name string) { target.envAliases = append(target.envAliases, name) }
	toFlag := func(target *setting, name string) { target.flagAliases = append(target.flagAliases, name) }
	for _, name := range slices.Sorted(maps.Keys(s.options.EnvAliases)) {
		key := s.options.EnvAliases[name]
		alias(s.byEnv, name, key, toEnv)
		if file, isSecret := s.byKey[key+fileKeySuffix]; isSecret && file.secret != nil {
			alias(s.byEnv, name+fileEnvSuffix, file.key, toEnv)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.options.FlagAliases)) {
		key := s.options.FlagAliases[name]
		alias(s.byFlag, name, key, toFlag)
		if file, isSecret := s.byKey[key+fileKeySuffix]; isSecret && file.secret != nil {
			alias(s.byFlag, name+fileFlagSuffix, file.key, toFlag)
		}
	}
	return errors.Join(problems...)
}
