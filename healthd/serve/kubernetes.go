package serve

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// maxExclude bounds the exclusions of one request.
const maxExclude = 64

// livez says that this process answers; drain and maintenance are no reason to kill it.
func livez(w http.ResponseWriter, r *http.Request) {
	text := okText
	if _, verbose := query(r)["verbose"]; verbose {
		text = livezVerbose
	}
	send(w, r, http.StatusOK, plainType, text)
}

func query(r *http.Request) url.Values {
	if r.URL.RawQuery == "" {
		return nil
	}
	return r.URL.Query()
}

// readyz says whether traffic should come, by the same rule as /health, in the form of Kubernetes: ?verbose lists the checks,
// ?exclude=SERVICE or ?exclude=SERVICE/CHECK leaves some out, /readyz/SERVICE and /readyz/SERVICE/CHECK is about one alone; machines read
// only the code. Checks are named by insiders only: by the code a stranger could guess which there are, and how each is. What he reads is printed once.
func readyz(w http.ResponseWriter, r *http.Request, a audience, b *book, name string) {
	asked := query(r)
	exclude := asked["exclude"]
	p := b.whole
	if a == stranger {
		exclude = nil
		if name != "" {
			p, name = b.services[name], ""
		}
		if p == nil {
			refuse(w, http.StatusNotFound, "no such service here")
			return
		}
	}
	if len(exclude) > maxExclude {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("more than %d exclusions", maxExclude))
		return
	}
	if name != "" || len(exclude) > 0 {
		narrow, ok := narrowed(b.snapshot, name, exclude)
		if !ok {
			refuse(w, http.StatusNotFound, "no such check here; ask /readyz?verbose for all")
			return
		}
		p = compose(narrow, 0)
	}
	code, text := http.StatusOK, okText
	if !p.condition.Serving() {
		code = http.StatusServiceUnavailable
	}
	if _, brief := asked["brief"]; brief && a == insider {
		a = hurried
	}
	if _, verbose := asked["verbose"]; verbose || code != http.StatusOK {
		text = p.sheet(kubernetesShape, a)
	}
	send(w, r, code, plainType, text)
}

// narrowed is the instance with one service or check alone, where a name is given, and without what is excluded.
func narrowed(s *healthd.Snapshot, name string, exclude []string) (r subject, ok bool) {
	left := *s
	left.Services = nil
	var excluded []string
	found := map[string]bool{"ping": true}
	leave := func(what string) bool {
		found[what] = true
		if slices.Contains(exclude, what) {
			excluded = append(excluded, what)
			return true
		}
		return false
	}
	for i := range s.Services {
		svc := s.Services[i]
		if found[svc.Name] = true; name != "" && name != svc.Name && !strings.HasPrefix(name, svc.Name+"/") || leave(svc.Name) {
			continue
		}
		svc.Checks = slices.DeleteFunc(slices.Clone(svc.Checks), func(c healthd.Check) bool {
			what := svc.Name + "/" + c.Name
			found[what] = true
			return name != "" && name != svc.Name && name != what || leave(what)
		})
		switch {
		case name != "" && name != svc.Name: // neither the impact nor the order is the check's own
			svc.Admin = healthd.Admin{}
			svc.Status = healthd.Pass
			for _, c := range svc.Checks {
				svc.Status = c.Verdict.Status
			}
		case len(svc.Checks) < len(s.Services[i].Checks):
			svc.Status = healthd.Rollup(svc.Checks)
		}
		left.Services = append(left.Services, svc)
	}
	r = summary(&left)
	r.excluded = excluded
	for _, what := range exclude {
		if !found[what] {
			r.unmatched = append(r.unmatched, what)
		}
	}
	return r, name == "" || found[name]
}

// kubernetes lists the checks as kube-apiserver does.
func (r subject) kubernetes(a audience, most int) []byte {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("[+]ping ok")
	items, left := r.items(a, most)
	if a == stranger {
		for _, it := range items {
			say("[-]%s failed: reason withheld", healthd.Line(it.name, 256))
		}
	} else {
		for _, name := range r.excluded {
			say("[+]%s excluded: ok", healthd.Line(name, 256))
		}
		for _, it := range items {
			say("%s", kubernetesLine(it))
		}
		if left > 0 {
			say("[+]and %d more", left)
		}
		for i, svc := range r.parts {
			if svc.Admin.State != healthd.Ready && i < most {
				say("[-]%s/admin failed: %s", healthd.Line(svc.Name, 256), svc.Admin.State)
			}
		}
		for _, name := range r.unmatched {
			say("warn: some health checks cannot be excluded: no matches for %s", healthd.Line(name, 64))
		}
	}
	say("readyz check %s", map[bool]string{true: "passed", false: "failed"}[r.condition().Serving()])
	return []byte(b.String())
}

func kubernetesLine(it item) string {
	name := healthd.Line(it.name, 256)
	switch it.check.Verdict.Status {
	case healthd.Pass, healthd.Warn:
		return "[+]" + name + " ok"
	}
	why := healthd.Line(it.check.Verdict.Last.Detail, healthd.MaxDetail)
	if why == "" {
		why = "not measured yet"
	}
	return "[-]" + name + " failed: " + why
}
