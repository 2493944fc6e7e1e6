package check

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// dnsmasq starts the real server with these records.
func dnsmasq(t *testing.T, records ...string) (*peer.Process, string) {
	t.Helper()
	address := local(t)
	args := append([]string{"-k", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=", "--port=" + portIn(address), "--listen-address=127.0.0.1",
		"--bind-interfaces"}, records...)
	return peertest.Start(t, peer.Server{Path: peertest.Tool(t, "dnsmasq"), Args: args, Ready: peer.Accepts(address)}), address
}

func TestDNSAsksARealDnsmasq(t *testing.T) {
	records := []string{"--host-record=app.test,10.0.0.1,fd00::1", "--host-record=app1.test,10.0.0.2", "--cname=www.test,app.test", "--mx-host=test,mail.test,10",
		"--srv-host=_http._tcp.app.test,app1.test,8080,0,5", "--txt-record=app.test,v=1 ok", "--local=/test/", "--ptr-record=9.0.0.10.in-addr.arpa,nine.test"}
	for i := range 100 {
		records = append(records, fmt.Sprintf("--host-record=big.test,10.1.0.%d", i+1))
	}
	server, address := dnsmasq(t, records...)
	for name, c := range map[string]struct {
		target string
		o      options
		class  healthd.Class
		detail string
	}{
		"address":            {"app.test", nil, healthd.OK, "NOERROR: 10.0.0.1"},
		"expected":           {"app.test", options{"expect": {"10.0.0.1"}}, healthd.OK, "NOERROR: 10.0.0.1"},
		"not expected":       {"app.test", options{"expect": {"10.0.0.9"}}, healthd.WrongAnswer, `"10.0.0.9" is not among 10.0.0.1`},
		"too few":            {"app.test", options{"min": {"2"}}, healthd.WrongAnswer, "NOERROR with 1 records of type A, expected 2 or more: 10.0.0.1"},
		"six":                {"app.test", options{"type": {"AAAA"}, "expect": {"fd00::1"}}, healthd.OK, "NOERROR: fd00::1"},
		"through a cname":    {"www.test", nil, healthd.OK, "NOERROR: 10.0.0.1"},
		"the cname":          {"www.test", options{"type": {"CNAME"}, "expect": {"APP.test."}}, healthd.OK, "NOERROR: app.test"},
		"srv":                {"_http._tcp.app.test", options{"type": {"SRV"}, "expect": {"app1.test:8080", "app1.test", "0 5 8080 app1.test."}}, healthd.OK, "NOERROR: app1.test:8080"},
		"srv elsewhere":      {"_http._tcp.app.test", options{"type": {"SRV"}, "expect": {"app1.test:8081"}}, healthd.WrongAnswer, `"app1.test:8081" is not among app1.test:8080`},
		"mx":                 {"test", options{"type": {"MX"}, "expect": {"mail.test"}}, healthd.OK, "NOERROR: mail.test."},
		"txt":                {"app.test", options{"type": {"TXT"}, "expect": {"v=1 ok"}}, healthd.OK, "NOERROR: v=1 ok"},
		"ptr of an address":  {"10.0.0.9", options{"type": {"PTR"}, "expect": {"nine.test"}}, healthd.OK, "NOERROR: nine.test."},
		"no such name":       {"gone.test", nil, healthd.WrongAnswer, "the answer is NXDOMAIN, expected NOERROR"},
		"no such name, good": {"gone.test", options{"rcode": {"NXDOMAIN"}}, healthd.OK, "NXDOMAIN"},
		"no such type":       {"app1.test", options{"type": {"TXT"}}, healthd.WrongAnswer, "NOERROR with 0 records of type TXT, expected 1 or more"},
		"refused":            {"example.com", nil, healthd.WrongAnswer, "the answer is REFUSED, expected NOERROR"},
		"truncated":          {"big.test", options{"min": {"100"}, "expect": {"10.1.0.77"}}, healthd.OK, "and 96 more"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options{"server": {address}}
			for k, v := range c.o {
				o[k] = v
			}
			judged(t, "dns", c.target, o, c.class, c.detail)
		})
	}
	o := options{"server": {address}}
	frozen(t, server, func() { judged(t, "dns", "app.test", o, healthd.TimedOut, "no answer in time") })
	server.Stop()
	judged(t, "dns", "app.test", o, healthd.Refused, "connection refused")
}

// resolver answers over UDP on a port of its own as told, with as many packets as it is given.
func resolver(t *testing.T, answer func(query *dns.Msg, nth int) [][]byte) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for nth := 0; ; nth++ {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			query := new(dns.Msg)
			if query.Unpack(buf[:n]) != nil {
				continue
			}
			for _, packet := range answer(query, nth) {
				if _, err := c.WriteTo(packet, from); err != nil {
					return
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return c.LocalAddr().String()
}

func packed(t *testing.T, query *dns.Msg, change func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetReply(query)
	m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: query.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(10, 0, 0, 1)})
	if change != nil {
		change(m)
	}
	raw, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return raw
}

func TestDNSTakesOnlyTheAnswerToItsQuestion(t *testing.T) {
	forged := func(m *dns.Msg) { m.Id++; m.Answer = nil }
	other := func(m *dns.Msg) { m.Question[0].Name = "evil.test."; m.Answer = nil }
	query := func(m *dns.Msg) { m.Response = false; m.Answer = nil }
	for name, c := range map[string]struct {
		answer func(*dns.Msg, int) [][]byte
		class  healthd.Class
		detail string
	}{
		"forged before": {func(q *dns.Msg, _ int) [][]byte {
			return [][]byte{packed(t, q, forged), packed(t, q, other), packed(t, q, query), {1}, packed(t, q, nil)}
		}, healthd.OK, "NOERROR: 10.0.0.1"},
		"only forged": {func(q *dns.Msg, _ int) [][]byte {
			return [][]byte{packed(t, q, forged), packed(t, q, other), nil, []byte("SSH-2.0-OpenSSH_9.2")}
		}, healthd.TimedOut, "no answer in time"},
		"first one lost": {func(q *dns.Msg, n int) [][]byte {
			if n == 0 {
				return nil
			}
			return [][]byte{packed(t, q, nil)}
		}, healthd.OK, "NOERROR: 10.0.0.1"},
		"other case": {func(q *dns.Msg, _ int) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) { m.Question[0].Name = "APP.test." })}
		}, healthd.OK, "NOERROR"},
		"cut off": {func(q *dns.Msg, _ int) [][]byte { raw := packed(t, q, nil); return [][]byte{raw[:len(raw)-3]} }, healthd.WrongAnswer, "no dns answer"},
		"servfail": {func(q *dns.Msg, _ int) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure; m.Answer = nil })}
		}, healthd.WrongAnswer, "the answer is SERVFAIL, expected NOERROR"},
		"without a word": {func(q *dns.Msg, _ int) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) { m.Rcode, m.Question, m.Answer = dns.RcodeNotImplemented, nil, nil })}
		}, healthd.WrongAnswer, "the answer is NOTIMP, expected NOERROR"},
		"truncated alone": {func(q *dns.Msg, _ int) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) { m.Truncated = true })}
		}, healthd.Refused, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New("dns", []string{"app.test"}, options{"server": {resolver(t, c.answer)}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
			defer cancel()
			if o := p(ctx); o.Class != c.class || !strings.Contains(o.Detail, c.detail) {
				t.Errorf("got %s: %q, want %s: %q", o.Class, o.Detail, c.class, c.detail)
			}
		})
	}
}

func TestDNSSettings(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		o      options
		want   string
	}{
		"address without ptr":  {"10.0.0.1", nil, "only type PTR"},
		"space":                {"a b", nil, "no domain name"},
		"long":                 {strings.Repeat("a", 64) + ".test", nil, "no domain name"},
		"metadata":             {"app.test", options{"server": {"169.254.169.253:53"}}, "which no check may reach"},
		"records of nxdomain":  {"app.test", options{"rcode": {"NXDOMAIN"}, "min": {"1"}}, "comes without records"},
		"type":                 {"app.test", options{"type": {"ANY"}}, "none of A, AAAA"},
		"underscores are fine": {"_http._tcp.app.test", options{"type": {"SRV"}}, ""},
	} {
		_, err := New("dns", []string{c.target}, c.o)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestDNSFindsTheNameserverOfTheHost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	for text, want := range map[string]string{"search x\nnameserver 10.0.0.53\nnameserver 10.0.0.54\n": "10.0.0.53:53", "nameserver fd00::53\n": "[fd00::53]:53", "search x\n": ""} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := resolvConf(path); got != want || (err == nil) == (want == "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := resolvConf(path + ".none"); err == nil {
		t.Error("a missing file names a server")
	}
}

// A name that changes its address between two lookups reaches neither metadata nor a link-local address: what is dialled is judged.
func TestARebindingNameIsJudgedEachTime(t *testing.T) {
	address := secondLookupTurns(t)
	d := dialer()
	d.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var plain net.Dialer
		return plain.DialContext(ctx, "udp", address)
	}}
	port := portIn(greeter(t, greets("", nil)))
	outcomes := []healthd.Class{}
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		start := time.Now()
		c, err := d.DialContext(ctx, "tcp4", net.JoinHostPort("rebinding.test", port))
		if err != nil {
			o := failed(ctx, start, "", err)
			outcomes = append(outcomes, o.Class)
			if !strings.Contains(o.Detail, "169.254.169.254 is a link-local or metadata address") {
				t.Errorf("said %q", o.Detail)
			}
		} else {
			outcomes = append(outcomes, healthd.OK)
			_ = c.Close()
		}
		cancel()
	}
	if !slices.Equal(outcomes, []healthd.Class{healthd.OK, healthd.OwnFault}) {
		t.Errorf("got %v", outcomes)
	}
}

// secondLookupTurns is a resolver that gives 127.0.0.1 first and a metadata address ever after.
func secondLookupTurns(t *testing.T) string {
	return resolver(t, func(q *dns.Msg, nth int) [][]byte {
		return [][]byte{packed(t, q, func(m *dns.Msg) {
			a := m.Answer[0].(*dns.A) // by packed
			a.A = net.IPv4(127, 0, 0, 1)
			if nth > 0 {
				a.A = net.IPv4(169, 254, 169, 254)
			}
		})}
	})
}

func FuzzDNSAnswer(f *testing.F) {
	query := new(dns.Msg)
	query.SetQuestion("app.test.", dns.TypeA)
	query.Id = 7
	p := &dnsProbe{question: query.Question[0], least: 1}
	for _, change := range []func(*dns.Msg){func(*dns.Msg) {}, func(m *dns.Msg) { m.Id = 8 }, func(m *dns.Msg) { m.Question = nil }, func(m *dns.Msg) {
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "app.test.", Rrtype: dns.TypeA, Class: 1}, A: net.IPv4(10, 0, 0, 1)}}
	}} {
		m := new(dns.Msg)
		m.SetReply(query)
		change(m)
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte("\x00\x07\x81\x30\x00\x01\x00\x01\x00\x00\x00\x00\x03app\x04test\x00\x00\x01\x00\x01\x0000000\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00")) // an address without data
	f.Fuzz(func(t *testing.T, raw []byte) {
		reply, mine, err := p.read(raw, 7)
		if !mine || err != nil {
			return
		}
		if reply.Id != 7 {
			t.Errorf("%x is taken for our answer", raw)
		}
		if detail, err := p.judge(reply); err == nil && !strings.HasPrefix(detail, "NOERROR: ") {
			t.Errorf("%x passes with %q", raw, detail)
		}
	})
}

func TestAResolverThatNoCheckMayReachIsToldAtOnce(t *testing.T) {
	for conf, want := range map[string]string{
		"nameserver 169.254.20.10\n": "server: is missing, and the first nameserver of ", "nameserver fe80::1%eth0\n": "which no check may reach; name another",
		"nameserver 127.0.0.53\n": "", "nameserver ::1\n": "", "": "", "search example\n": "",
	} {
		path := filepath.Join(t.TempDir(), "resolv.conf")
		write(t, path, conf)
		err := resolverAllowed(path)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", conf, err)
		}
	}
}
