package serve

import (
	"net/http"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

type callerKey struct{}

// ServeHTTP answers from memory. Who is no connection of Run, as in a test with a recorder, is no loopback caller.
//
//	/health /health/SERVICE /health/by-port/PORT            health+json, or by Accept: Actuator, MicroProfile, plain text
//	/health/live /health/ready /health/started              MicroProfile
//	/actuator/health[/SERVICE] and its groups liveness, readiness
//	/health?shared /health/SERVICE?shared                   what siblings ask for: see sightings
//	/livez /readyz /readyz/SERVICE[/CHECK]                  Kubernetes
//	/-/healthy /-/ready                                     as Prometheus has them
//	/metrics                                                where HTTPSettings has them
//
// A service's name goes before a word of ours at the same place.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller, known := r.Context().Value(callerKey{}).(*conn)
	if known {
		caller.enter(answering)
	}
	b := h.books.latest()
	header := w.Header()
	header["Cache-Control"] = noStore // which makes a Vary needless
	header["Lbmedic-Generation"] = b.tag
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header["Allow"] = getOrHead
		refuse(w, http.StatusMethodNotAllowed, "ask with GET or HEAD")
		return
	}
	h.views.hear(r, caller)
	a := h.audience(caller, r)
	path := r.URL.Path
	if rest, ok := strings.CutPrefix(path, "/health"); ok && (rest == "" || rest[0] == '/') {
		if asksForSightings(r) && (rest == "" || b.services[rest[1:]] != nil) {
			sightings(w, r, b)
			return
		}
		h.healthPath(w, r, a, b, rest)
		return
	}
	if rest, ok := strings.CutPrefix(path, "/actuator/health"); ok && (rest == "" || rest[0] == '/') {
		h.actuatorPath(w, r, a, b, rest)
		return
	}
	switch {
	case path == "/livez" || path == "/livez/ping" || path == "/readyz/ping":
		livez(w, r)
	case path == "/readyz":
		readyz(w, r, a, b, "")
	case strings.HasPrefix(path, "/readyz/"):
		readyz(w, r, a, b, path[len("/readyz/"):])
	case path == "/-/healthy":
		send(w, r, http.StatusOK, plainType, healthyText)
	case path == "/-/ready" && b.whole.condition.Serving():
		send(w, r, http.StatusOK, plainType, readyText)
	case path == "/-/ready":
		send(w, r, http.StatusServiceUnavailable, plainType, notReadyText)
	case path == "/metrics" && h.metrics != nil && a == insider:
		delete(header, "Lbmedic-Generation")
		h.metrics.ServeHTTP(w, r)
	default:
		refuse(w, http.StatusNotFound, "here are /health, /health/SERVICE, /health/by-port/PORT, /actuator/health, /livez and /readyz")
	}
}

// healthPath answers below /health.
func (h *HTTP) healthPath(w http.ResponseWriter, r *http.Request, a audience, b *book, rest string) {
	switch {
	case rest == "":
		h.health(w, r, a, b, topic{}, healthOffers)
	case strings.HasPrefix(rest, "/by-port/"):
		h.health(w, r, a, b, topic{port, rest[len("/by-port/"):]}, healthOffers)
	case b.services[rest[1:]] != nil:
		h.health(w, r, a, b, topic{service, rest[1:]}, healthOffers)
	case rest == "/live":
		send(w, r, http.StatusOK, jsonType, microprofileUp)
	case rest == "/ready":
		h.health(w, r, a, b, topic{}, microprofileOffers)
	case rest == "/started" && b.whole.condition == Starting:
		send(w, r, http.StatusServiceUnavailable, jsonType, microprofileDown)
	case rest == "/started":
		send(w, r, http.StatusOK, jsonType, microprofileUp)
	default:
		h.health(w, r, a, b, topic{service, rest[1:]}, healthOffers)
	}
}

// actuatorPath answers below /actuator/health.
func (h *HTTP) actuatorPath(w http.ResponseWriter, r *http.Request, a audience, b *book, rest string) {
	switch {
	case rest == "":
		h.health(w, r, a, b, topic{}, actuatorOffers)
	case b.services[rest[1:]] != nil:
		h.health(w, r, a, b, topic{service, rest[1:]}, actuatorOffers)
	case rest == "/liveness":
		send(w, r, http.StatusOK, negotiate(r.Header["Accept"], actuatorOffers).header, actuatorUp)
	case rest == "/readiness":
		h.health(w, r, a, b, topic{}, actuatorOffers)
	default:
		h.health(w, r, a, b, topic{service, rest[1:]}, actuatorOffers)
	}
}

// topic is what a request is about; the zero value is the whole instance.
type topic struct {
	by   by
	name string
}

type by uint8

const (
	whole by = iota
	service
	port
)

// page is nil, with what to say about that, where there is none.
func (b *book) page(t topic) (p *page, missing string) {
	switch t.by {
	case service:
		p = b.services[t.name]
	case port:
		var taken bool
		if p, taken = b.ports[t.name]; taken && p == nil {
			return nil, "several services listen on port " + healthd.Line(t.name, 20) + "; ask by name"
		}
	default:
		p = b.whole
	}
	return p, "no such service here"
}

// health answers about a topic, from the next book after a long poll.
func (h *HTTP) health(w http.ResponseWriter, r *http.Request, a audience, b *book, t topic, offers []offer) {
	p, missing := b.page(t)
	wish := usual
	if p != nil && r.URL.RawQuery != "" {
		var poll poll
		var err error
		if wish, poll, err = parse(r.URL.RawQuery); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		if poll.wait > 0 {
			b = h.await(r, poll, t, b)
			p, missing = b.page(t)
			w.Header()["Lbmedic-Generation"] = b.tag
		}
	}
	if p == nil {
		if a == insider {
			missing += "; there are: " + healthd.Line(strings.Join(b.names(), ", "), 500)
		}
		refuse(w, http.StatusNotFound, missing)
		return
	}
	if wish.brief && a == insider {
		a = hurried
	}
	if p.state != nil {
		w.Header()["Lbmedic-State"] = p.state
	}
	if p.hops != nil {
		w.Header()["Lbmedic-Hops"] = p.hops
	}
	how := negotiate(r.Header["Accept"], offers)
	send(w, r, p.code(wish), how.header, p.sheet(how.shape, a))
}
