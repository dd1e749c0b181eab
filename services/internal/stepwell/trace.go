package stepwell

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
)

// Trace is a W3C trace context: in which trace something happens, and below which span. The zero Trace is none.
//
// The spans of a run and of its steps have ids that follow from those of run and step: so whoever works on a run finds
// the span that its own belongs below, also if that is written later or by somebody else.
type Trace struct {
	ID   [16]byte
	Span [8]byte
	// Sampled says that whoever began the trace wants it kept.
	Sampled bool
}

// The parts of a traceparent of version 00, and of its bytes here.
const (
	traceparentBytes = 2 + 1 + 32 + 1 + 16 + 1 + 2
	traceBytes       = 16 + 8 + 1
	flagSampled      = 1
)

// IsZero tells whether there is no trace.
func (t Trace) IsZero() bool { return t.ID == [16]byte{} }

// ParseTraceparent reads the header traceparent. What is not one is no trace, as the standard wants it.
func ParseTraceparent(text string) Trace {
	if len(text) < traceparentBytes || len(text) > traceparentBytes && (text[:2] == "00" || text[traceparentBytes] != '-') {
		return Trace{}
	}
	text = text[:traceparentBytes]
	if text[:2] == "ff" || text[2] != '-' || text[35] != '-' || text[52] != '-' || strings.ToLower(text) != text {
		return Trace{}
	}
	var t Trace
	var version, flags [1]byte
	for _, part := range []struct {
		to   []byte
		text string
	}{{version[:], text[:2]}, {t.ID[:], text[3:35]}, {t.Span[:], text[36:52]}, {flags[:], text[53:55]}} {
		if _, err := hex.Decode(part.to, []byte(part.text)); err != nil {
			return Trace{}
		}
	}
	if t.ID == [16]byte{} || t.Span == [8]byte{} {
		return Trace{}
	}
	t.Sampled = flags[0]&flagSampled != 0
	return t
}

// Traceparent is the header traceparent; empty if there is no trace.
func (t Trace) Traceparent() string {
	if t.IsZero() {
		return ""
	}
	text := make([]byte, 0, traceparentBytes)
	text = append(text, "00-"...)
	text = hex.AppendEncode(text, t.ID[:])
	text = append(text, '-')
	text = hex.AppendEncode(text, t.Span[:])
	return string(append(text, '-', '0', '0'+t.flags()))
}

func (t Trace) flags() byte {
	if t.Sampled {
		return flagSampled
	}
	return 0
}

// Bytes is the trace as it is stored; nil if there is none.
func (t Trace) Bytes() []byte {
	if t.IsZero() {
		return nil
	}
	b := make([]byte, 0, traceBytes)
	return append(append(append(b, t.ID[:]...), t.Span[:]...), t.flags())
}

// TraceOf reads Bytes. What is not of that form is no trace.
func TraceOf(b []byte) Trace {
	var t Trace
	if len(b) != traceBytes {
		return t
	}
	copy(t.ID[:], b)
	copy(t.Span[:], b[16:])
	t.Sampled = b[24]&flagSampled != 0
	return t
}

// Run is the span of a run in the trace; no trace if there is none.
func (t Trace) Run(run RunID) Trace {
	if t.IsZero() {
		return t // and costs nothing
	}
	return t.below("run\n" + run.String())
}

// Step is the span of a step of a run in the trace; no trace if there is none.
func (t Trace) Step(run RunID, step StepID) Trace {
	if t.IsZero() {
		return t
	}
	return t.below("step\n" + run.String() + "\n" + string(step))
}

func (t Trace) below(name string) Trace {
	hash := sha256.New()
	io.WriteString(hash, name)
	copy(t.Span[:], hash.Sum(nil))
	if t.Span == [8]byte{} {
		t.Span[7] = 1 // a span id is never zero
	}
	return t
}
