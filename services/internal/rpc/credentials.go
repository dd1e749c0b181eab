package rpc

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
)

// Credentials secure connections by TLS, each as the functions say when it is made, so that certificates may be renewed.
// client is not needed for a listener. The name that the other end's certificate must have is that of the host that was
// called, also where that host is one of many addresses.
func Credentials(server, client func() *tls.Config) credentials.TransportCredentials {
	return renewing{server: server, client: client}
}

// renewing are credentials that last for one handshake.
type renewing struct{ server, client func() *tls.Config }

// ClientHandshake implements credentials.TransportCredentials.
func (r renewing) ClientHandshake(
	ctx context.Context, authority string, conn net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(r.client()).ClientHandshake(ctx, authority, conn)
}

// ServerHandshake implements credentials.TransportCredentials.
func (r renewing) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(r.server()).ServerHandshake(conn)
}

// Info implements credentials.TransportCredentials.
func (renewing) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone implements credentials.TransportCredentials.
func (r renewing) Clone() credentials.TransportCredentials { return r }

// OverrideServerName implements credentials.TransportCredentials: the name is that of the host, always.
func (renewing) OverrideServerName(string) error { return nil }
