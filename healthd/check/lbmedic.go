package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/client"
)

const (
	// hopsHeader says in an answer how many lbmedics stand one behind another in it: 0, or a missing header, where none asks another.
	hopsHeader = "Lbmedic-Hops"
	// maxHops is how many may: app, its dependency's, and that one's. Two that ask each other count up to it and stop there, where without
	// a bound each would believe the other for ever.
	maxHops = 3
)

// lbmedicKind asks the /health of another lbmedic. One that cannot be asked is unknown, never fail: it may be restarting, and says nothing
// of what it watches.
var lbmedicKind = Kind{
	Doc:         "another lbmedic says that its service, or all of them, pass; one that cannot be asked is unknown and fails nobody",
	Target:      Option{Doc: "URL of its /health or /health/SERVICE", Type: URL},
	Measurement: "hops",
	Impact:      healthd.Degrade, // required, two that ask each other would each wait for the other's first word
	Example:     "{lbmedic: http://10.0.0.5:7780/health/orders}",
	Options:     tlsOptions,
	New: func(s Settings) (Probe, error) {
		u, err := parseTarget(s.Target())
		if err != nil {
			return nil, KeyError{Err: err}
		}
		p := &lbmedicProbe{target: s.Target(), hops: &hopsReader{}}
		errs := []error{targetAllowed(s.Target(), u)}
		switch {
		case u.Scheme == "https":
			var err error
			p.secure, err = tlsConfig(s)
			errs = append(errs, err)
		case tlsKeys(s):
			errs = append(errs, errors.New("ca, cert, key, tls_name, tls_min and skip_verify are for an https target, and this one is plain http"))
		}
		p.hops.under = p.transport()
		p.client = client.New(client.Settings{Transport: p.hops, Timeout: 24 * time.Hour}) // the deadline of each probe is shorter
		return p.probe, errors.Join(errs...)
	},
}

// lbmedicProbe is one lbmedic check.
type lbmedicProbe struct {
	target string
	client *client.Client
	secure *tlsClient // nil: plain
	hops   *hopsReader
}

// transport makes a fresh connection for each request, and asks no proxy.
func (p *lbmedicProbe) transport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHead,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) { return dial(ctx, address) },
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			raw, err := dial(ctx, address)
			if err != nil {
				return nil, err
			}
			var secure *tls.Conn
			if secure, err = p.secure.handshake(ctx, raw, hostName(address)); err != nil {
				_ = raw.Close() // the handshake's error says more
				return nil, err
			}
			return secure, nil
		},
	}
}

// hopsReader reads the header that the client does not know, and tells answers that did not come from those that are wrong.
type hopsReader struct {
	under http.RoundTripper
	seen  int // in the last answer
	code  int // of the last answer; 0: there was none
}

// unheard is an answer that did not come, or not to its end: of a lbmedic that restarts, or of the network.
type unheard struct{ error }

func (u unheard) Unwrap() error { return u.error }

// heardBody is a body whose reader knows what is unheard.
type heardBody struct{ io.ReadCloser }

func (b heardBody) Read(to []byte) (int, error) {
	n, err := b.ReadCloser.Read(to)
	if err != nil && err != io.EOF { // which readers compare with, as io.Reader says
		err = unheard{err}
	}
	return n, err
}

// RoundTrip asks as the transport below does.
func (h *hopsReader) RoundTrip(r *http.Request) (*http.Response, error) {
	h.code = 0
	resp, err := h.under.RoundTrip(r)
	if err != nil {
		return nil, unheard{err}
	}
	h.code = resp.StatusCode
	if h.seen, err = parseHops(resp.Header.Get(hopsHeader)); err != nil {
		_ = resp.Body.Close() // the answer is refused
		return nil, err
	}
	resp.Body = heardBody{resp.Body}
	return resp, nil
}

// silent reports whether the error of a probe says that no lbmedic was heard: nobody, or a proxy that says so of what is behind it.
func (h *hopsReader) silent(err error) bool {
	if _, isTLS := tlsTrouble(err); isTLS {
		return false // what was shown was seen whole
	}
	_, cut := errors.AsType[unheard](err)
	return cut || h.code == http.StatusBadGateway || h.code == http.StatusServiceUnavailable || h.code == http.StatusGatewayTimeout
}

// parseHops reads the header; a missing one is 0.
func parseHops(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, wrongAnswer(fmt.Sprintf("the header %s is %q, which is no number", hopsHeader, healthd.Line(text, 20)))
	}
	return int(n), nil
}

func (p *lbmedicProbe) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	a, err := p.client.Ask(ctx, p.target, "", 0)
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil { // without the target, which the check names anyway
			err = inner
		}
		o := failed(ctx, start, "", err)
		if o.Class.Status() == healthd.Fail && p.hops.silent(err) {
			if p.hops.code >= 500 {
				o.Detail = fmt.Sprintf("status %d: %s", p.hops.code, o.Detail)
			}
			o.Class, o.Detail = healthd.OwnFault, "unknown: the lbmedic there does not answer: "+o.Detail
		}
		return o
	}
	hops := p.hops.seen + 1
	class, detail := judgeAnswer(a)
	if hops > maxHops {
		class, detail = healthd.OwnFault, fmt.Sprintf("lbmedic-loop: the answer comes through %d lbmedics, more than %d; it may come from this one, so ask for a service that asks no other", hops, maxHops)
		hops = maxHops
	}
	return healthd.NewOutcome(start, time.Since(start), class, detail).Measured(float64(hops), "hops")
}

// judgeAnswer says what the answer of a sidecar means for a check.
func judgeAnswer(a client.Answer) (healthd.Class, string) {
	detail := "it says " + a.Status.String()
	if a.Admin.State != healthd.Ready {
		detail += ", in " + a.Admin.State.String()
	}
	if a.Output != "" {
		detail += ": " + a.Output
	}
	switch {
	case a.Starting:
		return healthd.OwnFault, "unknown: the lbmedic there has just started"
	case a.Stale && a.Status != healthd.Fail:
		return healthd.Degraded, detail + " (not measured lately)"
	case a.Status == healthd.Pass:
		return healthd.OK, detail
	case a.Status == healthd.Warn:
		return healthd.Degraded, detail
	case a.Status == healthd.Fail:
		return healthd.WrongAnswer, detail
	}
	return healthd.OwnFault, detail
}
