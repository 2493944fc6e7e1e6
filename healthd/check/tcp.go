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

// probeTCP connects to host:port and closes with a reset.
func probeTCP(ctx context.Context, target string, s Settings) healthd.Outcome {
	start := time.Now()
	conn, err := dial(ctx, target)
	if err != nil {
		class, detail := classify(ctx, err)
		return healthd.NewOutcome(start, time.Since(start), class, detail)
	}
	o := timed(start, s, "connected")
	if err := conn.Close(); err != nil { // the connection stood, which is all that was asked
		o.Detail = healthd.Line("connected, close: "+err.Error(), healthd.MaxDetail)
	}
	return o
}

func validateTCP(target string, _ Settings) error {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return fmt.Errorf("tcp target %q is not host:port", healthd.Line(target, 80))
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
