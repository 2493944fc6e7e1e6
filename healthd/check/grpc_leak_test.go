package check

import (
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Whatever the server does, a probe that has ended has left nothing behind: no goroutine of ours, none of a client of others.
func TestNetworkKindsLeaveNoGoroutineBehind(t *testing.T) {
	for name, talk := range map[string]func(net.Conn){
		"silent":  greets("", nil),
		"closing": func(net.Conn) {},
		"another": greets("SSH-2.0-OpenSSH_9.2\r\n", nil),
		"endless": func(c net.Conn) { _, _ = io.Copy(c, flood{}) },
	} {
		t.Run(name, func(t *testing.T) {
			for kind, target := range map[string]string{"grpc": "", "ldap": "", "smtp": "", "tls": "", "tcp": "", "fastcgi": "", "http": "http://", "lbmedic": "http://"} {
				before := goleak.IgnoreCurrent()
				t.Run(kind, func(t *testing.T) { probe(t, kind, target+greeter(t, talk), nil, 100*time.Millisecond) })
				if err := goleak.Find(before); err != nil { // which waits a little for those that are just ending
					t.Errorf("%s: %v", kind, err)
				}
			}
		})
	}
}
