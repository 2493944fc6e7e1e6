package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/lbmedic/lbmedic/healthd"
)

// dnsTypes are the types of records that may be asked for.
var dnsTypes = map[string]uint16{
	"A": dns.TypeA, "AAAA": dns.TypeAAAA, "CNAME": dns.TypeCNAME, "MX": dns.TypeMX, "NS": dns.TypeNS, "PTR": dns.TypePTR, "SOA": dns.TypeSOA,
	"SRV": dns.TypeSRV, "TXT": dns.TypeTXT,
}

// dnsCodes are the answers that may be expected.
var dnsCodes = map[string]int{"NOERROR": dns.RcodeSuccess, "NXDOMAIN": dns.RcodeNameError, "SERVFAIL": dns.RcodeServerFailure, "REFUSED": dns.RcodeRefused}

// dnsKind asks one server, over UDP and again over TCP where the answer did not fit.
var dnsKind = Kind{
	Doc:         "a DNS server answers with the code, and the records, that are expected",
	Target:      Option{Doc: "name to ask for; with type PTR an address will do", Type: Text},
	Measurement: "responseTime",
	Example:     `{dns: _http._tcp.shop.example, type: SRV, server: 127.0.0.1:53, min: 2, expect: ["app1.shop.example:8080"]}`,
	Options: []Option{
		{Key: "type", Doc: "type of the records", Type: Word, Words: slices.Sorted(maps.Keys(dnsTypes)), Default: []string{"A"}},
		{Key: "server", Doc: "host:port of the server; the first nameserver of /etc/resolv.conf unless set", Type: HostPort},
		{Key: "rcode", Doc: "code that the answer must have", Type: Word, Words: slices.Sorted(maps.Keys(dnsCodes)), Default: []string{"NOERROR"}},
		{Key: "expect", Doc: "what must be among the records: an address, a name, target:port of an SRV, or the whole of a record as dig shows it", Type: Text, List: true},
		{Key: "min", Doc: "how many records of the type there must be; 1 unless set, and 0 where rcode is not NOERROR", Type: Int, Min: 0, Max: 1000},
	},
	New: newDNS,
}

// dnsProbe is one dns check.
type dnsProbe struct {
	question dns.Question
	server   string // host:port; empty: that of resolvConf
	code     int
	least    int
	expect   []string
}

func newDNS(s Settings) (Probe, error) {
	p := &dnsProbe{server: s.Text("server"), code: dnsCodes[s.Text("rcode")], expect: s.Texts("expect")}
	var errs []error
	name := s.Target()
	if addr, err := netip.ParseAddr(name); err == nil {
		if s.Text("type") != "PTR" {
			errs = append(errs, KeyError{Err: fmt.Errorf("%q is an address, of which only type PTR can be asked", name)})
		}
		name, err = dns.ReverseAddr(addr.WithZone("").String())
		errs = append(errs, err)
	}
	if _, ok := dns.IsDomainName(name); !ok || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		errs = append(errs, KeyError{Err: fmt.Errorf("%q is no domain name", healthd.Line(name, 80))})
	}
	p.question = dns.Question{Name: dns.Fqdn(name), Qtype: dnsTypes[s.Text("type")], Qclass: dns.ClassINET}
	if p.server != "" {
		if err := validateAddress(p.server); err != nil {
			errs = append(errs, KeyError{"server", err})
		}
	}
	if p.server == "" {
		errs = append(errs, resolverAllowed("/etc/resolv.conf"))
	}
	switch {
	case s.Has("min"):
		p.least = s.Int("min")
	case p.code == dns.RcodeSuccess:
		p.least = 1
	}
	if p.code != dns.RcodeSuccess && (p.least > 0 || len(p.expect) > 0) {
		errs = append(errs, KeyError{"rcode", fmt.Errorf("%s comes without records, so min and expect cannot hold", s.Text("rcode"))})
	}
	return p.probe, errors.Join(errs...)
}

func (p *dnsProbe) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	server := p.server
	if server == "" {
		var err error
		if server, err = resolvConf("/etc/resolv.conf"); err != nil {
			return healthd.NewOutcome(start, time.Since(start), healthd.OwnFault, "probe not made: "+err.Error())
		}
	}
	reply, err := p.ask(ctx, server)
	if err != nil {
		return failed(ctx, start, "no dns answer", err)
	}
	detail, err := p.judge(reply)
	if err != nil {
		return failed(ctx, start, "", err)
	}
	return passed(start, detail)
}

// resolverAllowed refuses a nameserver of this host that no probe would reach, such as that of a cloud at a link-local address. One that
// cannot be found now may be there later.
func resolverAllowed(path string) error {
	server, err := resolvConf(path)
	if err != nil {
		return nil
	}
	if err := validateAddress(server); err != nil {
		return KeyError{"server", fmt.Errorf("is missing, and the first nameserver of %s will not do: %w; name another", path, err)}
	}
	return nil
}

// resolvConf gives the first nameserver, as it is now.
func resolvConf(path string) (string, error) {
	c, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return "", fmt.Errorf("find a nameserver: %w", err)
	}
	if len(c.Servers) == 0 {
		return "", fmt.Errorf("find a nameserver: %s names none; set server", path)
	}
	return net.JoinHostPort(c.Servers[0], c.Port), nil
}

// judge says what the reply holds, or in what it is not the one expected.
func (p *dnsProbe) judge(reply *dns.Msg) (detail string, err error) {
	code := dns.RcodeToString[reply.Rcode]
	if code == "" {
		code = fmt.Sprintf("rcode %d", reply.Rcode)
	}
	if reply.Rcode != p.code {
		return "", wrongAnswer(fmt.Sprintf("the answer is %s, expected %s", code, dns.RcodeToString[p.code]))
	}
	var shown []string
	known := map[string]bool{}
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype != p.question.Qtype {
			continue // on the way there, such as a CNAME
		}
		words := recordWords(rr)
		if words[0] == "" {
			continue // without data, which says nothing
		}
		shown = append(shown, words[0])
		for _, w := range words {
			known[canonical(w)] = true
		}
	}
	const most = 4
	list := strings.Join(shown[:min(len(shown), most)], ", ")
	if len(shown) > most {
		list += fmt.Sprintf(" and %d more", len(shown)-most)
	}
	if len(shown) < p.least {
		return "", wrongAnswer(strings.TrimSuffix(fmt.Sprintf("%s with %d records of type %s, expected %d or more: %s", code, len(shown), dns.TypeToString[p.question.Qtype], p.least, list), ": "))
	}
	for _, want := range p.expect {
		if !known[canonical(want)] {
			return "", wrongAnswer(fmt.Sprintf("%q is not among %s", healthd.Line(want, 60), list))
		}
	}
	return strings.TrimSuffix(code+": "+list, ": "), nil
}

// recordWords are the ways in which a record may be written in expect, the one to show first.
func recordWords(rr dns.RR) []string {
	whole := strings.TrimPrefix(rr.String(), rr.Header().String())
	switch r := rr.(type) {
	case *dns.SRV:
		return []string{net.JoinHostPort(strings.TrimSuffix(r.Target, "."), fmt.Sprint(r.Port)), r.Target, whole}
	case *dns.MX:
		return []string{r.Mx, whole}
	case *dns.TXT:
		return []string{strings.Join(r.Txt, ""), whole}
	case *dns.SOA:
		return []string{r.Ns, whole}
	}
	return []string{whole}
}

// canonical makes names that are the same look the same.
func canonical(text string) string { return strings.ToLower(strings.TrimSuffix(text, ".")) }
