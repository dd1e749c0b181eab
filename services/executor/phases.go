package executor

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// phases tells how long the parts of requests to apps take.
type phases struct {
	took                                    telemetry.Durations
	dns, connect, tls, send, wait, get, all telemetry.Labels
}

func newPhases(meter *telemetry.Meter) phases {
	phase := func(name string) telemetry.Labels { return telemetry.Label("phase", name) }
	return phases{
		took: meter.Durations("stepwell.sdk_request", "How long requests to apps take, by phase; total is all of it"),
		dns:  phase("dns"), connect: phase("connect"), tls: phase("tls"), send: phase("send"), wait: phase("wait"),
		get: phase("receive"), all: phase("total"),
	}
}

// begin measures a request that is made with the context. The caller calls done when the answer was read.
func (p phases) begin(ctx context.Context) (_ context.Context, done func()) {
	if !p.took.On(ctx) {
		return ctx, func() {}
	}
	m := &measured{phases: p, began: time.Now()}
	return httptrace.WithClientTrace(ctx, m.trace(ctx)), func() { m.done(ctx) }
}

// measured is a request that is under way. The transport may go on connecting after the request is over, and to several
// addresses at a time.
type measured struct {
	phases phases
	began  time.Time

	mu                                              sync.Mutex
	dnsAt, connectAt, tlsAt, gotAt, sentAt, firstAt time.Time
}

// mark remembers when a phase began.
func (m *measured) mark(at *time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*at = time.Now()
}

// since records a phase, if it has begun.
func (m *measured) since(ctx context.Context, at *time.Time, labels telemetry.Labels) {
	m.mu.Lock()
	began := *at
	m.mu.Unlock()
	if !began.IsZero() {
		m.phases.took.Record(ctx, time.Since(began), labels)
	}
}

func (m *measured) trace(ctx context.Context) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { m.mark(&m.dnsAt) },
		DNSDone:      func(httptrace.DNSDoneInfo) { m.since(ctx, &m.dnsAt, m.phases.dns) },
		ConnectStart: func(_, _ string) { m.mark(&m.connectAt) },
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				m.since(ctx, &m.connectAt, m.phases.connect)
			}
		},
		TLSHandshakeStart: func() { m.mark(&m.tlsAt) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err == nil {
				m.since(ctx, &m.tlsAt, m.phases.tls)
			}
		},
		GotConn: func(httptrace.GotConnInfo) { m.mark(&m.gotAt) },
		WroteRequest: func(httptrace.WroteRequestInfo) {
			m.since(ctx, &m.gotAt, m.phases.send)
			m.mark(&m.sentAt)
		},
		GotFirstResponseByte: func() {
			m.since(ctx, &m.sentAt, m.phases.wait)
			m.mark(&m.firstAt)
		},
	}
}

func (m *measured) done(ctx context.Context) {
	m.since(ctx, &m.firstAt, m.phases.get)
	m.phases.took.Record(ctx, time.Since(m.began), m.phases.all)
}
