package serve

import (
	"context"
	"net"
)

// Listen opens a port for a server of this package. TCP keepalive is off: its connections are ended by limits of their own within minutes, and
// switching it on costs four system calls for each check of a balancer, which is a fresh connection.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	return (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", address)
}
