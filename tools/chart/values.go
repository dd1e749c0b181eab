package chart

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// marker is what begins a comment that is a value's description.
const marker = "# -- "

// Value is one value of a chart as its values.yaml has it.
type Value struct {
	// Path is such as state.replicas.
	Path string
	// Default is as JSON.
	Default string
	// Meaning is the comment; empty if it has none.
	Meaning string
}

// Values are all values in a values.yaml, in its order. What has a description of its own is one value, even if it is a
// map or list.
func Values(text []byte) ([]Value, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	if len(document.Content) != 1 {
		return nil, errors.New("read values: there are none")
	}
	return values(document.Content[0], "", "")
}

func values(node *yaml.Node, path, meaning string) ([]Value, error) {
	if node.Kind == yaml.MappingNode && len(node.Content) > 0 && meaning == "" {
		var all []Value
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			inner, err := values(node.Content[i+1], strings.TrimPrefix(path+"."+key.Value, "."), describe(key.HeadComment))
			if err != nil {
				return nil, err
			}
			all = append(all, inner...)
		}
		return all, nil
	}
	var value any
	if err := node.Decode(&value); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return []Value{{Path: path, Default: string(text), Meaning: meaning}}, nil
}

// describe is the description in a comment.
func describe(comment string) string {
	_, text, found := strings.Cut("\n"+comment, "\n"+marker)
	if !found {
		return ""
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(text, "\n#", " ")), " ")
}

// Table is the values as a Markdown table.
func Table(values []Value) string {
	var b strings.Builder
	b.WriteString("| Value | Default | Meaning |\n|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`)
	for _, v := range values {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", v.Path, cell.Replace(v.Default), cell.Replace(v.Meaning))
	}
	return b.String()
}
