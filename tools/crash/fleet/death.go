package fleet

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Deaths are the members that ended by themselves since this was asked last, and the lines of logs that tell of a panic.
func (f *Fleet) Deaths() ([]string, error) {
	var deaths []string
	for _, m := range f.members {
		deaths = append(deaths, m.takeExits()...)
		panics, err := m.takePanics()
		if err != nil {
			return deaths, fmt.Errorf("read the log of %s: %w", m.Name, err)
		}
		deaths = append(deaths, panics...)
	}
	return deaths, nil
}

// takePanics are the lines of the log, since this was asked last, that tell of a panic.
func (m *Member) takePanics() ([]string, error) {
	log, err := os.ReadFile(m.log)
	if err != nil {
		return nil, err
	}
	from := m.logRead
	m.logRead = len(log)
	var panics []string
	for line := range bytes.Lines(log[from:]) {
		if bytes.Contains(line, []byte("panic")) || bytes.HasPrefix(line, []byte("fatal error:")) {
			panics = append(panics, fmt.Sprintf("%s: %s", filepath.Base(m.log), bytes.TrimSpace(line)))
		}
	}
	return panics, nil
}
