package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// fileBytesMax bounds a file of settings.
const fileBytesMax = 1 << 20

// fromFile reads a YAML file. Scalars are taken as they are written, so that 007 and 1e3 stay what they are; a key
// without a value gives nothing.
func (s *Settings) fromFile(path string, problems *LoadError) map[string]any {
	layer := map[string]any{}
	if path == "" {
		return layer
	}
	content, err := os.ReadFile(path) //nolint:gosec // it is whoever runs the program that names the file
	if err == nil && len(content) > fileBytesMax {
		err = fmt.Errorf("%s is larger than %d bytes", path, fileBytesMax)
	}
	if err != nil {
		problems.add("%w", err)
		return layer
	}
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		problems.add("%s: %w", path, err)
		return layer
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		problems.add("%s: there is more than one document", path)
	}
	f := yamlFile{path: path, settings: s, layer: layer, problems: problems}
	for _, root := range document.Content { // one, or none if the file is empty
		f.read(root, "")
	}
	return layer
}

// yamlFile is a YAML file that is being read.
type yamlFile struct {
	path     string
	settings *Settings
	layer    map[string]any
	problems *LoadError
}

func (f yamlFile) at(node *yaml.Node) string { return fmt.Sprintf("%s:%d", f.path, node.Line) }

// read reads the value of a key: a section, or a setting.
func (f yamlFile) read(node *yaml.Node, key string) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch {
	case node.ShortTag() == "!!null":
	case f.settings.byKey[key] != nil:
		f.readSetting(node, key)
	case node.Kind == yaml.MappingNode && f.settings.isSection(key):
		seen := map[string]bool{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			name := node.Content[i]
			inner := join(key, name.Value)
			switch {
			case strings.Contains(name.Value, keyDelimiter):
				f.problems.add("%s: %s: write one key in the other, without a dot", f.at(name), inner)
			case seen[name.Value]:
				f.problems.add("%s: %s is there twice", f.at(name), inner)
			case f.settings.byKey[inner] == nil && !f.settings.isSection(inner):
				f.problems.add("%s: %s is not a setting%s", f.at(name), inner, f.settings.nearestKey(inner))
			default:
				f.read(node.Content[i+1], inner)
			}
			seen[name.Value] = true
		}
	case key == "":
		f.problems.add("%s: the file must have keys with values", f.at(node))
	default:
		f.problems.add("%s: %s is a section: it must have keys with values", f.at(node), key)
	}
}

func (f yamlFile) readSetting(node *yaml.Node, key string) {
	value := given{Source: f.at(node)}
	isList := isList(f.settings.byKey[key].field.Type())
	switch {
	case node.Kind == yaml.ScalarNode && !isList:
		value.Texts = []string{node.Value}
	case node.Kind == yaml.SequenceNode && isList && !slices.ContainsFunc(node.Content, isNoScalar):
		value.List = true
		for _, element := range node.Content {
			value.Texts = append(value.Texts, element.Value)
		}
	case isList:
		f.problems.add("%s: %s must be a list of single values: [a, b]", f.at(node), key)
		return
	default:
		f.problems.add("%s: %s must be a single value", f.at(node), key)
		return
	}
	f.layer[key] = value
}

func isNoScalar(node *yaml.Node) bool { return node.Kind != yaml.ScalarNode }

// isSection tells whether there are settings whose keys begin with this one. The empty key is the whole.
func (s *Settings) isSection(key string) bool {
	return slices.ContainsFunc(s.settings, func(setting *setting) bool {
		return key == "" || strings.HasPrefix(setting.key, key+keyDelimiter)
	})
}

// fromEnvironment reads the environment variables.
func (s *Settings) fromEnvironment(environ []string, problems *LoadError) map[string]any {
	present := map[string]bool{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		present[name] = value != ""
	}
	provider := env.Provider("", env.Opt{
		EnvironFunc: func() []string { return slices.Sorted(slices.Values(environ)) },
		TransformFunc: func(name, value string) (string, any) {
			setting, known := s.byEnv[name]
			switch {
			case value == "" || (!known && !strings.HasPrefix(name, s.options.EnvPrefix)):
			case isServiceLink(name, value) || slices.Contains(s.options.EnvForeign, name):
			case !known:
				problems.add("environment variable %s is not a setting%s", name, s.nearestEnv(name))
			case name == setting.envAmong(present):
				return setting.key, given{Texts: []string{value}, Source: "environment variable " + name}
			}
			return "", nil
		},
	})
	layer, err := provider.Read()
	if err != nil {
		problems.add("read the environment: %w", err)
	}
	return layer
}

// envAmong is the first of the setting's variables that is there: its own name comes before its aliases.
func (s *setting) envAmong(present map[string]bool) string {
	for _, name := range s.envAliases {
		if present[name] && !present[s.env] {
			return name
		}
	}
	return s.env
}

// isServiceLink tells whether Kubernetes made the variable: for a service called stepwell-state, it gives the pods
// beside it STEPWELL_STATE_PORT=tcp://10.0.0.1:80 and more, which are nobody's settings.
func isServiceLink(name, value string) bool {
	const port = `_PORT_\d+_(TCP|UDP|SCTP)`
	byName := regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|` + port + `_(PROTO|PORT|ADDR)$`)
	byBoth := regexp.MustCompile(`(_PORT|` + port + `)=(tcp|udp|sctp)://`)
	return byName.MatchString(name) || byBoth.MatchString(name+"="+value)
}

// fromFlags reads the flags that were used.
func (s *Settings) fromFlags(flags *pflag.FlagSet, problems *LoadError) map[string]any {
	layer := map[string]any{}
	if flags == nil {
		return layer
	}
	flags.Visit(func(flag *pflag.Flag) {
		value, ours := flag.Value.(*flagValue)
		if !ours || s.byFlag[flag.Name] != value.setting {
			return
		}
		texts := value.texts
		if !isList(value.setting.field.Type()) {
			texts = texts[len(texts)-1:] // as everywhere, the last one counts
		}
		key := value.setting.key
		if before, twice := layer[key].(given); twice {
			problems.add("%s and flag --%s both give %s: remove one", before.Source, flag.Name, key)
			return
		}
		layer[key] = given{Texts: texts, Source: "flag --" + flag.Name}
	})
	return layer
}

// flagValue is the value of a flag as it was written. What it means is found out with everything else, so that all
// problems come together.
type flagValue struct {
	setting *setting
	texts   []string
}

var _ pflag.Value = (*flagValue)(nil)

// Set implements pflag.Value.
func (f *flagValue) Set(text string) error {
	f.texts = append(f.texts, text)
	return nil
}

// Type implements pflag.Value.
func (f *flagValue) Type() string {
	return strings.ReplaceAll(kindOf(f.setting.field.Type()), " ", "-")
}

// String implements pflag.Value: it is the default, for the help.
func (f *flagValue) String() string {
	if f.setting == nil {
		return "" // pflag asks a zero value, too
	}
	return f.setting.fallback
}
