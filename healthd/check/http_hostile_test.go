package check

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/lbmedic/lbmedic/healthd"
)

// Whatever an app or somebody in its place answers is bounded and named.
func TestHTTPBadInputIsBounded(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(bytes.Repeat([]byte("ready "), 2<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		answer string
		o      options
		class  healthd.Class
		detail string
	}{
		"gzip bomb":            {fmt.Sprintf("%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", ok, bomb.Len(), bomb.String()), options{"expect": {"ready"}}, healthd.WrongAnswer, `"ready" is not in the body`},
		"10,000 header lines":  {ok + strings.Repeat("a:b\r\n", 10_000) + "\r\n", nil, healthd.WrongAnswer, "no http answer: a head longer than 16384 bytes"},
		"one endless header":   {ok + "X: " + strings.Repeat("x", 1<<20), nil, healthd.WrongAnswer, "no http answer: a head longer than 16384 bytes"},
		"chunks of one byte":   {ok + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 60_000) + "0\r\n\r\n", nil, healthd.WrongAnswer, "but a body longer than 65536 bytes"},
		"endless chunk header": {ok + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 1<<20), nil, healthd.WrongAnswer, "no http answer"},
		"two lengths":          {ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", nil, healthd.WrongAnswer, "no http answer"},
		"an ssh server":        {"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", nil, healthd.WrongAnswer, `no http answer: it begins with "SSH-2.0-OpenSSH_9.2p1 Debian-2"`},
		"a mail server":        {"220 mail.test ESMTP\r\n500 unrecognized command\r\n", nil, healthd.WrongAnswer, `no http answer: it begins with "220 mail.test ESMTP"`},
		"a tls server":         {"\x15\x03\x01\x00\x02\x02\x46", nil, healthd.WrongAnswer, "no http answer"},
		"deep json":            {ok + "\r\n" + strings.Repeat(`{"a":`, 12_000), options{"json": {"a.a = 1"}}, healthd.WrongAnswer, "the body is no json"},
		"a metadata redirect":  {"HTTP/1.1 307 Go\r\nLocation: http://169.254.169.254/latest/\r\nContent-Length: 0\r\n\r\n", options{"status": {"200"}}, healthd.WrongAnswer, "status 307, expected 200"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, reuse := range []string{"false", "true"} {
				o := options{"reuse": {reuse}}
				for k, v := range c.o {
					o[k] = v
				}
				judged(t, "http", app(t, func(conn net.Conn, _ *http.Request) {
					if _, err := io.WriteString(conn, c.answer); err == nil && conn.SetDeadline(time.Now().Add(50*time.Millisecond)) == nil {
						_ = conn.(*net.TCPConn).CloseWrite()
						_, _ = io.Copy(io.Discard, conn)
					}
				}), o, c.class, c.detail)
			}
		})
	}
}

func TestHTTPFollowsNoRedirect(t *testing.T) {
	var asked atomic.Int64
	url := app(t, func(c net.Conn, r *http.Request) {
		asked.Add(1)
		says("HTTP/1.1 302 Found\r\nLocation: /healthz\r\nContent-Length: 0\r\n\r\n")(c, r)
	})
	judged(t, "http", url, nil, healthd.OK, "status 302")
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// spellings are the ways in which people and attackers write an address, some of which are no address at all.
func spellings(addr netip.Addr) []string {
	if addr.Is6() {
		long := addr.StringExpanded()
		return []string{"[" + addr.String() + "]", "[" + long + "]", "[" + strings.ToUpper(addr.String()) + "]", "[" + addr.String() + "%25lo]", "[" + addr.String() + "%25eth0]",
			strings.ReplaceAll("["+addr.String()+"]", ":", "%3A"), addr.String()}
	}
	b := addr.As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	return []string{
		addr.String(), addr.String() + ".", fmt.Sprint(n), fmt.Sprintf("0x%x", n), fmt.Sprintf("0X%X", n), fmt.Sprintf("0%o", n),
		fmt.Sprintf("0%o.0%o.0%o.0%o", b[0], b[1], b[2], b[3]), fmt.Sprintf("0x%x.0x%x.0x%x.0x%x", b[0], b[1], b[2], b[3]), fmt.Sprintf("%d.%d.0x%x.0%o", b[0], b[1], b[2], b[3]),
		fmt.Sprintf("%03d.%03d.%03d.%03d", b[0], b[1], b[2], b[3]), fmt.Sprintf("%d.%d.%d", b[0], b[1], int(b[2])<<8|int(b[3])), fmt.Sprintf("%d.%d", b[0], n&0xffffff),
		fmt.Sprintf("[::ffff:%s]", addr), fmt.Sprintf("[::ffff:%x:%x]", n>>16, n&0xffff), fmt.Sprintf("[0:0:0:0:0:FFFF:%X:%X]", n>>16, n&0xffff), fmt.Sprintf("[64:ff9b::%s]", addr),
		fmt.Sprintf("[64:ff9b::%x:%x]", n>>16, n&0xffff), fmt.Sprintf("[::ffff:%s%%25lo]", addr), fmt.Sprintf("%s%%2e%d", netip.AddrFrom4(b).String()[:strings.LastIndex(addr.String(), ".")], b[3]),
		strings.ReplaceAll(addr.String(), ".", "\u3002"), strings.ReplaceAll(addr.String(), ".", "\uff0e"), strings.ReplaceAll(addr.String(), "1", "\uff11"), addr.String() + ".nip.test", "metadata.test",
	}
}

// No spelling of an address that is forbidden leads there, also where every name that a resolver is asked for leads there.
func TestNoSpellingReachesAForbiddenAddress(t *testing.T) {
	d := dialer()
	d.Resolver = evilResolver(t)
	tried, met := 0, map[string]int{}
	for _, text := range []string{"169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "224.0.0.1", "fe80::1", "fd00:ec2::254", "ff02::1"} {
		for _, host := range spellings(netip.MustParseAddr(text)) {
			for _, form := range []string{"http://%s", "https://%s/latest/", "HTTP://%s:80/", "http://127.0.0.1@%s/", "http://127.0.0.1:80@%s/", "http://%s#@127.0.0.1/", "http://%s?@127.0.0.1/", "http://a:b@%s:8080/x", "http:////%s", "http://%s\\@127.0.0.1/", "http://127.0.0.1%%00@%s/"} {
				tried++
				target := fmt.Sprintf(form, host)
				met[reached(t, d, target)]++
			}
		}
	}
	if tried < 300 || met["forbidden"] < 300 {
		t.Errorf("%d forms are too few: %v", tried, met)
	}
	t.Logf("%d forms: %v", tried, met)
}

// reached says how far a target gets: refused as no target, as a forbidden one, or not there at all.
func reached(t *testing.T, d net.Dialer, target string) string {
	t.Helper()
	u, err := parseTarget(target)
	if err != nil {
		return "no target"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", hostPort(u))
	switch {
	case err == nil:
		_ = c.Close()
		t.Errorf("%q reaches %s", target, c.RemoteAddr())
		return "reached"
	case isForbidden(err):
		if _, err := New("http", []string{target}, nil); err != nil && !strings.Contains(err.Error(), "no check may reach") && !strings.Contains(err.Error(), "port") {
			t.Errorf("%q: %v", target, err)
		}
		return "forbidden"
	}
	if _, unresolved := errors.AsType[*net.DNSError](err); unresolved {
		return "no name"
	}
	if errors.Is(err, syscall.EINVAL) {
		return "no address"
	}
	t.Errorf("%q ends in %v", target, err)
	return "else"
}

func isForbidden(err error) bool {
	_, ok := errors.AsType[forbiddenError](err)
	return ok
}

// evilResolver leads every name to the metadata address of most clouds.
func evilResolver(t *testing.T) *net.Resolver {
	t.Helper()
	address := resolver(t, func(q *dns.Msg, _ int) [][]byte {
		return [][]byte{packed(t, q, func(m *dns.Msg) {
			m.Answer = nil
			head := dns.RR_Header{Name: q.Question[0].Name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET}
			switch head.Rrtype {
			case dns.TypeA:
				m.Answer = []dns.RR{&dns.A{Hdr: head, A: net.IPv4(169, 254, 169, 254)}}
			case dns.TypeAAAA:
				m.Answer = []dns.RR{&dns.AAAA{Hdr: head, AAAA: net.ParseIP("fd00:ec2::254")}}
			}
		})}
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var plain net.Dialer
		return plain.DialContext(ctx, "udp", address)
	}}
}
