// Package config loads settings into any struct: from its defaults, a YAML file, the environment and the command line,
// each stronger than the one before; and it tells what there is to set, and what is in effect and why.
//
// A struct says what can be set. Each of its fields has two tags: `koanf`, its key (a struct is a section, whose
// fields' keys follow after a dot; `koanf:"-"` is no setting; an embedded struct's fields are the outer one's), and
// `doc`, what it means, in half a sentence. From the key executor.workers follow the variable STEPWELL_EXECUTOR_WORKERS
// and the flag --executor-workers. A field may be a string, a bool, a number, a time.Duration, Bytes, a Secret, what
// implements encoding.TextUnmarshaler, or a slice of these.
//
// It must not know any setting, nor print or log a secret.
package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Options say how settings are named.
type Options struct {
	// EnvPrefix begins the name of every environment variable. A variable that begins so and is no setting is refused.
	EnvPrefix string
	// EnvAliases are further variables for a key: DATABASE_URL for database_url. A variable of the key's own name wins.
	EnvAliases map[string]string
	// EnvForeign are variables that begin with the prefix and belong to somebody else.
	EnvForeign []string
	// FlagAliases are further flags for a key: port for event_api.port.
	FlagAliases map[string]string
}

// Sources are where settings come from, the strongest last. Each may be missing.
type Sources struct {
	// File is the path of a YAML file.
	File string
	// Environ is the environment, as os.Environ returns it. An empty variable is as good as none.
	Environ []string
	// Flags were made by AddFlags and have been parsed.
	Flags *pflag.FlagSet
	// Only are the keys that are used; empty for all. What a Validate says of others is no problem.
	Only []string
}

// Settings are the settings of one struct.
type Settings struct {
	options Options
	root    reflect.Value
	// settings are in the order of the struct's fields.
	settings []*setting
	byKey    map[string]*setting
	byEnv    map[string]*setting
	byFlag   map[string]*setting
}

// setting is one field of the struct, or the file that a secret is read from.
type setting struct {
	key, env, flag          string
	envAliases, flagAliases []string
	doc                     string
	// field is where the value goes.
	field reflect.Value
	// fallback is the default, as text; it is never that of a secret.
	fallback string
	// source says where the value is from.
	source string
	// secret is the setting whose value is in the file that this one names; nil for a field's own setting.
	secret *setting
}

// For describes the settings of a struct, whose values are the defaults. The error is a mistake in the program: a field
// without tags or of a type that cannot be loaded, two settings of one name, an alias for a key that there is not.
func For(pointerToStruct any, options Options) (*Settings, error) {
	pointer := reflect.ValueOf(pointerToStruct)
	if pointer.Kind() != reflect.Pointer || pointer.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: %T is not a pointer to a struct", pointerToStruct)
	}
	s := &Settings{
		options: options, root: pointer.Elem(),
		byKey: map[string]*setting{}, byEnv: map[string]*setting{}, byFlag: map[string]*setting{},
	}
	err := errors.Join(s.describe(s.root, ""), s.addAliases())
	if err != nil {
		return nil, fmt.Errorf("config: settings of %T: %w", pointerToStruct, err)
	}
	return s, nil
}

// Load fills the struct and has it validated: every struct in it with a method Validate() error is asked, the innermost
// first. A problem that Validate returns should begin with the key within that struct. The error is a *LoadError: all
// there are, each with its source. The struct must not be used then.
func (s *Settings) Load(from Sources) error {
	problems := &LoadError{}
	merged := koanf.New(keyDelimiter)
	for _, layer := range []map[string]any{
		s.fromFile(from.File, problems), s.fromEnvironment(from.Environ, problems), s.fromFlags(from.Flags, problems),
	} {
		s.checkSecrets(layer, problems)
		s.dropWeaker(merged, layer)
		if err := merged.Load(confmap.Provider(layer, keyDelimiter), nil); err != nil {
			return fmt.Errorf("config: merge settings: %w", err)
		}
	}
	for _, setting := range s.settings {
		if value, isGiven := merged.Get(setting.key).(given); isGiven {
			setting.source = value.Source
			setting.set(value, problems)
		}
	}
	s.validate(s.root, "", from.Only, problems)
	if len(problems.Problems) > 0 {
		return problems
	}
	return nil
}

// checkSecrets refuses a source that gives a secret both in itself and by a file.
func (s *Settings) checkSecrets(layer map[string]any, problems *LoadError) {
	for _, setting := range s.settings {
		if setting.secret == nil {
			continue
		}
		file, inFile := layer[setting.key].(given)
		itself, inItself := layer[setting.secret.key].(given)
		if inFile && inItself {
			problems.add("%s and %s both give %s: remove one", itself.Source, file.Source, setting.secret.key)
		}
	}
}

// dropWeaker removes from what is merged so far a secret that a stronger source gives in the other of its two forms.
func (s *Settings) dropWeaker(merged *koanf.Koanf, layer map[string]any) {
	for _, setting := range s.settings {
		if setting.secret == nil {
			continue
		}
		if _, given := layer[setting.key]; given {
			merged.Delete(setting.secret.key)
		}
		if _, given := layer[setting.secret.key]; given {
			merged.Delete(setting.key)
		}
	}
}

// validate asks the structs, the innermost first.
func (s *Settings) validate(value reflect.Value, prefix string, only []string, problems *LoadError) {
	for _, field := range fieldsOf(value) {
		if field.section {
			s.validate(field.value, join(prefix, field.key), only, problems)
		}
	}
	if !value.Addr().CanInterface() {
		return // an embedded struct of another package's own; the outer one has its methods
	}
	validator, ok := reflect.TypeAssert[interface{ Validate() error }](value.Addr())
	if !ok {
		return
	}
	for _, err := range flatten(validator.Validate()) {
		first, _, _ := strings.Cut(err.Error(), " ")
		key := join(prefix, strings.TrimRight(first, ":,"))
		setting, known := s.byKey[key]
		switch {
		case len(only) > 0 && !slices.Contains(only, key):
		case known:
			problems.add("%s: %s", setting.source, join(prefix, err.Error()))
		case prefix != "":
			problems.add("%s: %s", prefix, err.Error())
		default:
			problems.add("%s", err.Error())
		}
	}
}

// flatten is the list of errors that were joined.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var list []error
	for _, e := range joined.Unwrap() {
		list = append(list, flatten(e)...)
	}
	return list
}

// AddFlags adds a flag for every setting. Load reads those that were used.
func (s *Settings) AddFlags(flags *pflag.FlagSet) {
	for _, setting := range s.settings {
		for _, name := range slices.Concat([]string{setting.flag}, setting.flagAliases) {
			flag := flags.VarPF(&flagValue{setting: setting}, name, "", setting.doc)
			if setting.field.Kind() == reflect.Bool {
				flag.NoOptDefVal = "true"
			}
		}
	}
}
