package check

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// tcpKind connects to host:port and closes with a reset.
var tcpKind = Kind{
	Doc:         "a port accepts a connection",
	Target:      Option{Doc: "host:port to connect to", Type: HostPort},
	Measurement: "connectTime",
	Example:     "{tcp: 127.0.0.1:6379}",
	New: func(s Settings) (Probe, error) {
		if err := validateAddress(s.Target()); err != nil {
			return nil, err
		}
		return func(ctx context.Context) healthd.Outcome { return probeTCP(ctx, s.Target()) }, nil
	},
}

func probeTCP(ctx context.Context, target string) healthd.Outcome {
	start := time.Now()
	conn, err := dial(ctx, target)
	if err != nil {
		return failed(ctx, start, "", err)
	}
	o := passed(start, "connected")
	if err := conn.Close(); err != nil { // the connection stood, which is all that was asked
		o.Detail = healthd.Line("connected, close: "+err.Error(), healthd.MaxDetail)
	}
	return o
}

// validateAddress refuses what is no host:port, and addresses that no check may reach.
func validateAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not host:port", healthd.Line(address, 80))
	}
	return validateHostPort(host, port)
}

func validateHostPort(host, port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q is not a number from 1 to 65535", healthd.Line(port, 20))
	}
	if host == "" {
		return fmt.Errorf("the host is missing; name one, such as 127.0.0.1:%s", port)
	}
	if addr, err := netip.ParseAddr(host); err == nil && Forbidden(addr) {
		return forbiddenError{addr}
	}
	return nil
}
