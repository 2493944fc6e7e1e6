package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/lbmedic/lbmedic/healthd"
)

// MaxBody is the longest answer that is read: 200 checks with their outputs are about 50 KiB.
const MaxBody = 1 << 20

const (
	maxNotes  = 16
	maxOutput = 1000
	maxName   = 128
)

// health are the parts of health+json that are read.
type health struct {
	Status    string   `json:"status"`
	ServiceID string   `json:"serviceId"`
	Notes     []string `json:"notes"`
	Output    string   `json:"output"`
}

// parse reads the answer of a sidecar. The status code must agree with the body, so that neither a proxy's error page nor a sidecar that
// contradicts itself is taken for a verdict.
func parse(code int, h http.Header, body []byte) (Answer, error) {
	generation := h.Get("Lbmedic-Generation")
	if _, _, err := healthd.ParseTag(generation); err != nil {
		return Answer{}, err
	}
	if kind, _, err := mime.ParseMediaType(h.Get("Content-Type")); err != nil || kind != "application/health+json" {
		return Answer{}, fmt.Errorf("status %d with %q instead of application/health+json: %s",
			code, healthd.Line(h.Get("Content-Type"), 80), healthd.Line(string(body[:min(len(body), 200)]), 200))
	}
	if len(body) > MaxBody {
		return Answer{}, fmt.Errorf("an answer longer than %d bytes", MaxBody)
	}
	var j health
	if err := json.Unmarshal(body, &j); err != nil {
		return Answer{}, fmt.Errorf("an answer that is no health+json: %s", healthd.Line(err.Error(), 200))
	}
	a := Answer{Service: healthd.Line(j.ServiceID, maxName), Generation: generation, Output: healthd.Line(j.Output, maxOutput)}
	for _, n := range j.Notes[:min(len(j.Notes), maxNotes)] {
		a.Notes = append(a.Notes, healthd.Line(n, healthd.MaxDetail))
	}
	said, err := statusOf(j.Status, code)
	if err != nil {
		return Answer{}, err
	}
	a.Status = said
	return a, a.setState(h.Get("Lbmedic-State"))
}

// statusOf reads the status of the body and holds it against the code.
func statusOf(word string, code int) (healthd.Status, error) {
	said, err := healthd.ParseStatus(word)
	if err != nil || said == healthd.Unknown {
		return healthd.Unknown, fmt.Errorf("status %q in the answer is none of pass, warn, fail", healthd.Line(word, 40))
	}
	if good := code >= 200 && code <= 299 || code == http.StatusTooManyRequests; good != (said != healthd.Fail) {
		return healthd.Unknown, fmt.Errorf("status %s with code %d: the answer contradicts itself", said, code)
	}
	return said, nil
}

// setState reads the Lbmedic-State header, words that a status code cannot say: starting, stale, drain, maint, and with an order in force
// the health apart from it. A word that is not known is of a newer sidecar, and skipped.
func (a *Answer) setState(words string) error {
	if len(words) > 200 {
		return errors.New("a Lbmedic-State header of more than 200 bytes")
	}
	apart := a.Status
	for word := range strings.SplitSeq(words, ",") {
		switch word = strings.TrimSpace(word); word {
		case "starting":
			a.Starting = true
		case "stale":
			a.Stale = true
		case "drain":
			a.Admin.State = healthd.Drain
		case "maint":
			a.Admin.State = healthd.Maint
		case "pass":
			apart = healthd.Pass
		case "warn":
			apart = healthd.Warn
		}
	}
	if a.Admin.State != healthd.Ready {
		a.Status = apart
	}
	if a.Starting {
		a.Status = healthd.Unknown
	}
	for _, n := range a.Notes {
		word, reason, _ := strings.Cut(n, ": ")
		if a.Admin.State == healthd.Drain && word == "drain" || a.Admin.State == healthd.Maint && word == "maintenance" {
			a.Admin.Reason = reason
		}
	}
	return nil
}
