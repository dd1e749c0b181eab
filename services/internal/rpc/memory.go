package rpc

import (
	"context"
	"fmt"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
)

// memoryBufferBytes is the buffer of each connection within the process.
const memoryBufferBytes = 256 << 10

// Memory is a network within one process: real gRPC over in-memory connections.
type Memory struct {
	mu        sync.Mutex
	listeners map[string]*bufconn.Listener
}

var _ Network = (*Memory)(nil)

// NewMemory returns a network without services.
func NewMemory() *Memory {
	return &Memory{listeners: map[string]*bufconn.Listener{}}
}

func (m *Memory) listener(name string) *bufconn.Listener {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, known := m.listeners[name]
	if !known {
		l = bufconn.Listen(memoryBufferBytes)
		m.listeners[name] = l
	}
	return l
}

// Listen implements Network. There is no other replica that connections could go to, so they never grow old.
func (m *Memory) Listen(name string) (Listener, error) {
	return Listener{Listener: m.listener(name), drainFor: DrainDefault}, nil
}

// Dial implements Network.
func (m *Memory) Dial(name string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	options := append(append(dialOptions(), more...), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return m.listener(name).DialContext(ctx)
		}))
	conn, err := grpc.NewClient("passthrough:///"+name, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s in memory: %w", name, err)
	}
	return conn, nil
}
