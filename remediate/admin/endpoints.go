package admin

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// endpoint is one thing that can be asked. Either answer or stream is set.
type endpoint struct {
	method, path string
	role         Role // what a caller over TCP must be allowed
	answer       func(*Server, *http.Request) (any, error)
	stream       func(*Server, *http.Request, *lines) error
}

// endpoints are all of the API. What is not here is refused.
var endpoints = []endpoint{
	{method: "GET", path: "/v1/status", role: Read, answer: (*Server).status},
	{method: "GET", path: "/v1/health", role: Read, answer: (*Server).health},
	{method: "GET", path: "/v1/events", role: Read, stream: (*Server).events},
	{method: "GET", path: "/v1/drains/{balancer}/{backend}/{server}", role: Read, stream: (*Server).drain},
	{method: "GET", path: "/v1/drains/{service}", role: Read, stream: (*Server).drainService},
	{method: "GET", path: "/v1/drained", role: Ask, answer: (*Server).drained},
	{method: "POST", path: "/v1/orders", role: Operate, answer: (*Server).order},
	{method: "POST", path: "/v1/freeze", role: Operate, answer: (*Server).freeze},
	{method: "POST", path: "/v1/thaw", role: Operate, answer: (*Server).thaw},
	{method: "POST", path: "/v1/release", role: Operate, answer: (*Server).release},
}

func (s *Server) handler() http.Handler {
	byPath := map[string]map[string]endpoint{}
	for _, e := range endpoints {
		if byPath[e.path] == nil {
			byPath[e.path] = map[string]endpoint{}
		}
		byPath[e.path][e.method] = e
	}
	mux := http.NewServeMux()
	for path, methods := range byPath {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			e, ok := methods[r.Method]
			if !ok {
				allowed := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
				w.Header().Set("Allow", allowed)
				problemf(http.StatusMethodNotAllowed, BadMethod, "%s takes %s", r.URL.Path, allowed).write(w)
				return
			}
			s.serveOne(w, r, e)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problemf(http.StatusNotFound, NotFound, "there is no %s", r.URL.Path).write(w)
	})
	return mux
}

// serveOne answers one request. A browser that was led here (Origin) is refused although it cannot open a unix socket:
// something may forward to it one day.
func (s *Server) serveOne(w http.ResponseWriter, r *http.Request, e endpoint) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Lbmedic-Version", s.Version)
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		problemf(http.StatusForbidden, Forbidden, "the admin API is not for browsers").write(w)
		return
	}
	if err := may(r, e.role); err != nil {
		s.problem(err).write(w)
		return
	}
	if e.stream != nil {
		s.serveStream(w, r, e)
		return
	}
	value, err := e.answer(s, r)
	if err != nil {
		p := s.problem(err)
		if e.method == http.MethodPost {
			s.log().Info("refused", zap.String("request", r.URL.Path), zap.String("by", operator(r)), zap.String("reason", string(p.Reason)), zap.String("detail", p.Detail))
		}
		p.write(w)
		return
	}
	text, err := json.Marshal(value)
	if err != nil {
		problemf(http.StatusInternalServerError, Internal, "%s", oneLine(err)).write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) // the write tells
	_, _ = w.Write(append(text, '\n'))                                            // a caller that has gone misses nothing
}

// read reads the one JSON object of a request, and nothing besides.
func read(r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return problemf(http.StatusBadRequest, BadRequest, "the content type must be application/json, not %q", r.Header.Get("Content-Type"))
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more than one object")
		}
	}
	var tooBig *http.MaxBytesError
	if err == nil || errors.As(err, &tooBig) {
		return err
	}
	return problemf(http.StatusBadRequest, BadRequest, "read the request: %s", oneLine(err))
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
