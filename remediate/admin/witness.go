package admin

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/healthd"
)

// WitnessSettings say which controllers are asked whether a service of this host is drained, and with which certificate.
type WitnessSettings struct {
	Controllers   []string // https://HOST:PORT of their admin.remote.listen; at most 32
	CA, Cert, Key string   // files, PEM; they are read again when they change
	Log           *zap.Logger
}

// Witnesses are the controllers that know the balancers of a service, old workers included, as no sidecar does.
type Witnesses struct {
	controllers []*url.URL
	certs       *certs
	http        *http.Client
}

// Bounds of a question to controllers.
const (
	maxControllers = 32
	askTime        = 5 * time.Second
	maxWitness     = 1 << 20 // of an answer, in bytes
	maxTold        = 64      // rows of one controller that are passed on; all of them count
)

// NewWitnesses reads the certificates; it does not connect. Every mistake in the settings is told.
func NewWitnesses(s WitnessSettings) (*Witnesses, error) {
	w := &Witnesses{}
	var errs []error
	if n := len(s.Controllers); n == 0 || n > maxControllers {
		errs = append(errs, fmt.Errorf("there are %d controllers; from 1 to %d can be asked", n, maxControllers))
	}
	for _, text := range s.Controllers {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			errs = append(errs, fmt.Errorf("the controller %q is no https://HOST:PORT", healthd.Line(text, 100)))
			continue
		}
		w.controllers = append(w.controllers, &url.URL{Scheme: "https", Host: u.Host})
	}
	log := s.Log
	if log == nil {
		log = zap.NewNop()
	}
	var err error
	w.certs, err = newCerts(s.Cert, s.Key, s.CA, func(err error) { log.Warn("ask the controllers", zap.Error(err)) })
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("health.controllers: %w", err)
	}
	w.http = &http.Client{
		Transport:     &http.Transport{DialTLSContext: w.dial, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w, nil
}

// dial shows the certificate as it is now.
func (w *Witnesses) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: askTime}, Config: w.certs.client(host)}
	return d.DialContext(ctx, network, address)
}

// Ack is what one controller says of a drain.
type Ack struct {
	Controller string          `json:"controller"` // HOST:PORT
	State      WitnessState    `json:"state"`
	Detail     string          `json:"detail,omitempty"`
	Servers    []WitnessServer `json:"servers,omitempty"`
}

// ask asks each controller once, all at a time. at gives the addresses under which a controller may know the service, told whether it is on
// this host.
func (w *Witnesses) ask(ctx context.Context, at func(local bool) []netip.AddrPort) []Ack {
	acks := make([]Ack, len(w.controllers))
	var asking sync.WaitGroup
	for i, u := range w.controllers {
		asking.Go(func() { acks[i] = w.askOne(ctx, u, at(isLocal(u))) })
	}
	asking.Wait()
	return acks
}

// isLocal reports whether a controller's URL leads to this host, so that loopback addresses mean the same there.
func isLocal(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback() || u.Hostname() == "localhost"
}

func (w *Witnesses) askOne(ctx context.Context, u *url.URL, at []netip.AddrPort) Ack {
	ack := Ack{Controller: u.Host, State: WitnessUnknown}
	if len(at) == 0 {
		ack.Detail = "the service has no address that it could be asked for; set its address"
		return ack
	}
	answer, err := w.get(ctx, u, at)
	if err != nil {
		ack.Detail = healthd.Line(oneLine(err), healthd.MaxDetail)
		return ack
	}
	ack.State, ack.Detail = answer.State, healthd.Line(answer.Detail, healthd.MaxDetail)
	if _, ok := distance[ack.State]; !ok {
		ack.State, ack.Detail = WitnessUnknown, "its answer has a state that is not known here: "+healthd.Line(string(answer.State), 40)
	}
	for _, s := range answer.Servers {
		ack.State = furthest(ack.State, WitnessState(s.State)) // an answer that contradicts itself confirms nothing
		if s.Detail = healthd.Line(s.Detail, healthd.MaxDetail); len(ack.Servers) < maxTold {
			ack.Servers = append(ack.Servers, s)
		}
	}
	if ack.State == WitnessAbsent {
		ack.Detail = "it has no server at " + joined(at)
	}
	return ack
}

func joined(at []netip.AddrPort) string {
	var words []string
	for _, a := range at {
		words = append(words, a.String())
	}
	return healthd.Line(strings.Join(words, ", "), healthd.MaxDetail)
}

func (w *Witnesses) get(ctx context.Context, u *url.URL, at []netip.AddrPort) (answer Witness, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	values := url.Values{}
	for _, a := range at {
		values.Add("address", a.String())
	}
	full := *u
	full.Path, full.RawQuery = "/v1/drained", values.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, full.String(), nil)
	if err != nil {
		return answer, err
	}
	res, err := w.http.Do(req)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err // the rest of it is the long question
		}
		return answer, err
	}
	defer res.Body.Close()
	body := io.LimitReader(res.Body, maxWitness)
	if res.StatusCode == http.StatusOK {
		if err := json.NewDecoder(body).Decode(&answer); err != nil {
			return Witness{}, fmt.Errorf("its answer cannot be read: %w", err)
		}
		return answer, nil
	}
	p := new(Problem)
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind == "application/problem+json" && json.NewDecoder(body).Decode(p) == nil {
		return answer, p
	}
	return answer, fmt.Errorf("what answers there is no lbmedic: status %d", res.StatusCode)
}
