package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
)

// lossyDoor hands requests that publish events to the server, and breaks the connection instead of answering the first one.
type lossyDoor struct {
	url string

	mu  sync.Mutex
	ids [][]string // by request: what the server answered
}

func newLossyDoor(s *scene) *lossyDoor {
	s.Helper()
	door := &lossyDoor{}
	door.url = serveWeb(s, func(w http.ResponseWriter, r *http.Request) {
		status, answer, err := door.pass(s, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		if len(door.answers()) == 1 {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(answer)
	})
	return door
}

// pass hands a request to the server and notes the ids that it answers.
func (d *lossyDoor) pass(s *scene, r *http.Request) (status int, answer []byte, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(s.Context(), r.Method, s.server.URLs[0]+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header = r.Header.Clone()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if answer, err = io.ReadAll(response.Body); err != nil {
		return 0, nil, err
	}
	var told struct {
		IDs []string `json:"ids"`
	}
	err = json.Unmarshal(answer, &told)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids = append(d.ids, told.IDs)
	return response.StatusCode, answer, err
}

// answers are the ids that the server answered to each request so far.
func (d *lossyDoor) answers() [][]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.ids)
}
