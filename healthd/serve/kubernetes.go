package serve

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// maxExclude bounds the exclusions of one request.
const maxExclude = 64

// livez says that this process answers; drain and maintenance are no reason to kill it.
func livez(w http.ResponseWriter, r *http.Request) {
	sendLines(w, r, "livez", []line{{name: "ping", ok: true}}, true)
}

// readyz says whether traffic should come: every service passes or warns, and none is drained. The form is that of Kubernetes:
// ?verbose lists the checks, ?exclude=SERVICE or ?exclude=SERVICE/CHECK leaves some out, machines read only the code.
func readyz(w http.ResponseWriter, r *http.Request, s *healthd.Snapshot, local bool) {
	exclude := r.URL.Query()["exclude"]
	if len(exclude) > maxExclude {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("more than %d exclusions", maxExclude))
		return
	}
	ready := true
	lines := []line{{name: "ping", ok: true}}
	for i := range s.Services {
		svc := &s.Services[i]
		if slices.Contains(exclude, svc.Name) {
			lines = append(lines, line{name: svc.Name, excluded: true})
			continue
		}
		counted := make([]healthd.Check, 0, len(svc.Checks))
		for _, c := range svc.Checks {
			l := line{name: svc.Name + "/" + c.Name, ok: c.Verdict.Status == healthd.Pass || c.Verdict.Status == healthd.Warn}
			if slices.Contains(exclude, l.name) {
				l.excluded = true
			} else {
				counted = append(counted, c)
			}
			if local {
				l.why = c.Verdict.Last.Detail
			}
			lines = append(lines, l)
		}
		status := svc.Status
		if len(counted) < len(svc.Checks) {
			status = healthd.Rollup(counted)
		}
		if status == healthd.Fail || status == healthd.Unknown {
			ready = false
		}
		if svc.Admin.State != healthd.Ready {
			ready = false
			lines = append(lines, line{name: svc.Name + "/admin", why: svc.Admin.State.String()})
		}
	}
	sendLines(w, r, "readyz", lines, ready)
}

// line is one check in the verbose form.
type line struct {
	name         string
	ok, excluded bool
	why          string
}

func (l line) String() string {
	switch {
	case l.excluded:
		return "[+]" + l.name + " excluded: ok"
	case l.ok:
		return "[+]" + l.name + " ok"
	case l.why == "":
		return "[-]" + l.name + " failed: reason withheld"
	}
	return "[-]" + l.name + " failed: " + l.why
}

// sendLines answers "ok", or with every line where that was asked for or it is not.
func sendLines(w http.ResponseWriter, r *http.Request, what string, lines []line, ok bool) {
	code, text := http.StatusOK, "ok"
	if !ok {
		code = http.StatusServiceUnavailable
	}
	if _, verbose := r.URL.Query()["verbose"]; verbose || !ok {
		var b strings.Builder
		for _, l := range lines {
			b.WriteString(l.String() + "\n")
		}
		b.WriteString(what + " check " + map[bool]string{true: "passed", false: "failed"}[ok] + "\n")
		text = b.String()
	}
	h := w.Header()
	h["Content-Type"] = plainType
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(text)) // a caller that has gone misses nothing
	}
}
