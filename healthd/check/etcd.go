package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// etcdKind asks a member for its health over HTTP, which needs no user (https://etcd.io/docs/v3.5/op-guide/monitoring/#health-check). /health
// reads through the leader, so it passes only with a quorum; /livez and /readyz are known to etcd 3.4.29, 3.5.11 and later.
var etcdKind = Kind{
	Doc:         "an etcd member says that it is healthy, which by /health takes a leader and no alarm",
	Target:      Option{Doc: "URL of a client or metrics listener", Type: URL, Secret: true},
	Measurement: "responseTime",
	Example:     "{etcd: http://127.0.0.1:2379}",
	Options: slices.Concat([]Option{
		{Key: "path", Doc: "what is asked: health, or readyz or livez of newer versions", Type: Word, Words: []string{"health", "readyz", "livez"}, Default: []string{"health"}},
	}, tlsOptions),
	New: func(s Settings) (Probe, error) {
		target, err := apiTarget(s.Target())
		if err != nil {
			err = KeyError{"", err}
		}
		secure, errTLS := tlsConfig(s)
		if err == nil {
			errTLS = errors.Join(errTLS, needlessTLS(s, target.Scheme == "https"))
		}
		if err := errors.Join(err, errTLS); err != nil {
			return nil, err
		}
		e := etcd{target.JoinPath(s.Text("path")), s.Text("path"), secure}
		return e.probe, nil
	},
}

type etcd struct {
	target *url.URL
	path   string // health, readyz, livez
	secure *tlsClient
}

func (e etcd) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	status, body, err := fetch(ctx, e.target, e.secure)
	if err != nil {
		return failed(ctx, start, "no http answer", err)
	}
	if trouble := etcdTrouble(e.path, status, body); trouble != "" {
		return healthd.NewOutcome(start, time.Since(start), healthd.WrongAnswer, trouble)
	}
	return passed(start, "healthy")
}

// etcdTrouble reads {"health":"true","reason":""} of /health, or the plain "ok" of /readyz and /livez; empty: none.
func etcdTrouble(path string, status int, body []byte) string {
	var said struct {
		Health string `json:"health"`
		Reason string `json:"reason"`
	}
	known := path == "health" && json.Unmarshal(body, &said) == nil && said.Health != ""
	switch {
	case known && said.Health == "true" && status == http.StatusOK:
		return ""
	case known && said.Reason != "":
		return fmt.Sprintf("status %d, unhealthy: %s", status, healthd.Line(said.Reason, 120))
	case known:
		return fmt.Sprintf("status %d, health is %q", status, healthd.Line(said.Health, 20))
	case path != "health" && status == http.StatusOK && strings.TrimSpace(string(body)) == "ok":
		return ""
	case status == http.StatusNotFound:
		return "status 404; this version of etcd does not know the path, use path: health"
	case status == http.StatusOK:
		return fmt.Sprintf("status 200, but not the words of etcd: %q", healthd.Line(string(body), 60))
	}
	return fmt.Sprintf("status %d: %s", status, healthd.Line(string(body), 120))
}
