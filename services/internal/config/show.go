package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Effective returns the settings in effect as a YAML file, each with its source as a comment. Secrets are hidden.
func (s *Settings) Effective() (string, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, setting := range s.settings {
		if setting.secret != nil {
			continue
		}
		section, name := root, setting.key
		for {
			outer, rest, nested := strings.Cut(name, keyDelimiter)
			if !nested {
				break
			}
			section, name = sectionOf(section, outer), rest
		}
		value, err := setting.node()
		if err != nil {
			return "", fmt.Errorf("show %s: %w", setting.key, err)
		}
		key := &yaml.Node{Kind: yaml.ScalarNode, Value: name}
		if value.Kind == yaml.SequenceNode {
			key.HeadComment = "# " + setting.source
		} else {
			value.LineComment = "# " + setting.source
		}
		section.Content = append(section.Content, key, value)
	}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return "", fmt.Errorf("write settings as YAML: %w", err)
	}
	return text.String(), nil
}

// sectionOf returns the section of this name, which is made if there is none.
func sectionOf(node *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1]
		}
	}
	section := &yaml.Node{Kind: yaml.MappingNode}
	node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, section)
	return section
}

// node is the setting's value, in a form that reads back as the same.
func (s *setting) node() (*yaml.Node, error) {
	var shown any
	switch field := s.field; {
	case isList(field.Type()):
		texts := make([]string, field.Len())
		for i := range texts {
			texts[i] = textOf(field.Index(i))
		}
		shown = texts
	case field.Kind() == reflect.Bool || kindOf(field.Type()) == "number":
		shown = field.Interface()
	default:
		shown = textOf(field)
	}
	node := &yaml.Node{}
	return node, node.Encode(shown)
}

// Reference returns a Markdown table of all settings, for docs/configuration.md.
func (s *Settings) Reference() string {
	var table strings.Builder
	table.WriteString("| Key | Environment | Flag | Type | Default | Meaning |\n|---|---|---|---|---|---|\n")
	for _, setting := range s.settings {
		if setting.secret != nil {
			continue
		}
		fallback := setting.fallback
		if isSecret(setting.field.Type()) {
			fallback = "" // whatever it is, it is nobody's business
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s | %s |\n",
			code("", setting.key), code("", append([]string{setting.env}, setting.envAliases...)...),
			code("--", append([]string{setting.flag}, setting.flagAliases...)...), kindOf(setting.field.Type()),
			code("", fallback), strings.ReplaceAll(setting.doc, "|", `\|`))
	}
	return table.String()
}

// code writes names as code.
func code(prefix string, names ...string) string {
	var quoted []string
	for _, name := range names {
		if name != "" {
			quoted = append(quoted, "`"+prefix+strings.ReplaceAll(name, "|", `\|`)+"`")
		}
	}
	return strings.Join(quoted, ", ")
}

// referenceEnd ends what a page holds of a reference.
const referenceEnd = "<!-- end of settings -->\n"

// InsertReference returns a page with the reference of a program's settings replaced, which is between two lines. A test
// compares the page with what this returns of it, so that the page is never behind the code.
func InsertReference(page, program, reference string) (string, error) {
	begin := "<!-- settings of " + program + ": generated, do not edit -->\n"
	before, rest, begins := strings.Cut(page, begin)
	_, after, ends := strings.Cut(rest, referenceEnd)
	if !begins || !ends {
		return "", fmt.Errorf("the page must have the lines %q and %q", strings.TrimSpace(begin), strings.TrimSpace(referenceEnd))
	}
	return before + begin + "\n" + reference + "\n" + referenceEnd + after, nil
}
