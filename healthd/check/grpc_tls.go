package check

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
)

// grpcTLS lets gRPC speak TLS as the other kinds do. It is used for one connection.
type grpcTLS struct {
	client *tlsClient
	server string // host of the target
	conn   *watchedConn
	over   chan struct{} // closed when nothing more can be read
}

// grpcTLSConn remembers the alert by which a server refuses our certificate. It comes after the handshake, in place of an answer, and a
// write that the server's reset ends must not hide it.
type grpcTLSConn struct {
	*tls.Conn
	under *watchedConn
	over  chan struct{}
	ended bool // only gRPC's one reader uses it
}

// Read is that of the connection.
func (c *grpcTLSConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && !c.ended {
		if _, ok := tlsTrouble(err); ok {
			c.under.fault.Store(&err)
		}
		c.ended = true
		close(c.over)
	}
	return n, err
}

// ClientHandshake makes the handshake, and leaves what went wrong with the connection, for gRPC would make a text of it.
func (g *grpcTLS) ClientHandshake(ctx context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, err := g.client.handshake(ctx, raw, g.server, "h2")
	if err == nil && secure.ConnectionState().NegotiatedProtocol != "h2" {
		err = wrongAnswer("the server does not speak http/2 over tls: it did not choose h2 in the handshake (alpn)")
	}
	if err != nil {
		g.conn.fault.Store(&err) // it says more than the network's, which made it
		return nil, nil, err
	}
	return &grpcTLSConn{Conn: secure, under: g.conn, over: g.over}, credentials.TLSInfo{State: secure.ConnectionState(), CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}, nil
}

// ServerHandshake is not for a client.
func (g *grpcTLS) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("a check serves nobody")
}

// Info says that it is TLS, from which the scheme of the request follows. It names no server, for the authority may be another.
func (g *grpcTLS) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone gives the same: gRPC makes one of each client, which has one connection.
func (g *grpcTLS) Clone() credentials.TransportCredentials { return g }

// OverrideServerName does nothing; the key tls_name is for that.
func (g *grpcTLS) OverrideServerName(string) error { return nil }
