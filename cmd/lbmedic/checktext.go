package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// checked is what `lbmedic check -o json` prints.
type checked struct {
	Status   healthd.Status   `json:"status"`
	Summary  string           `json:"summary"` // the line for people
	Services []checkedService `json:"services"`
}

type checkedService struct {
	Name    string         `json:"name"`
	Address string         `json:"address,omitempty"`
	Status  healthd.Status `json:"status"`
	Checks  []checkedCheck `json:"checks"`
}

type checkedCheck struct {
	Name   string         `json:"name"`
	Kind   string         `json:"kind"`
	Target string         `json:"target,omitempty"`
	Impact healthd.Impact `json:"impact"`
	Shared bool           `json:"shared,omitempty"`
	Status healthd.Status `json:"status"` // of the check alone, whatever its impact
	Detail string         `json:"detail,omitempty"`
	At     time.Time      `json:"at,omitzero"`
	Took   string         `json:"took"` // as in 1.2ms
}

func (a *app) tellChecked(services []healthd.Service) error {
	if a.json() {
		return a.printJSON(checkedJSON(services))
	}
	if _, err := fmt.Fprintln(a.stdout, plain(summaryOf(services))); err != nil || a.quiet {
		return err
	}
	t := &table{head: []string{"service", "check", "status", "impact", "took", "detail"}}
	for _, s := range services {
		t.add(s.Name, nil, statusCell(s.Status))
		for _, c := range s.Checks {
			t.add(nil, c.Name, statusCell(c.Verdict.Status), c.Impact, tookText(c), c.Verdict.Last.Detail)
		}
	}
	return t.write(a.stdout, a.colour())
}

func tookText(c healthd.Check) string {
	return c.Verdict.Last.Took.Round(10 * time.Microsecond).String()
}

func checkedJSON(services []healthd.Service) checked {
	out := checked{Status: statusOf(services), Summary: summaryOf(services), Services: []checkedService{}}
	for _, s := range services {
		service := checkedService{Name: s.Name, Address: s.Address, Status: s.Status, Checks: []checkedCheck{}}
		for _, c := range s.Checks {
			service.Checks = append(service.Checks, checkedCheck{Name: c.Name, Kind: c.Kind, Target: c.Target, Impact: c.Impact, Shared: c.Shared,
				Status: c.Verdict.Status, Detail: c.Verdict.Last.Detail, At: c.Verdict.Last.At, Took: tookText(c)})
		}
		out.Services = append(out.Services, service)
	}
	return out
}

// summaryOf is the one line that Nagios shows: what is worst and why, or how much passes.
func summaryOf(services []healthd.Service) string {
	worst, checks := statusOf(services), 0
	var why []string
	for _, s := range services {
		checks += len(s.Checks)
		if s.Status == worst && worst != healthd.Pass {
			why = append(why, reasonOf(s))
		}
	}
	word := strings.ToUpper(worst.String())
	if worst == healthd.Pass {
		return fmt.Sprintf("%s %s of %s", word, count(checks, "check"), count(len(services), "service"))
	}
	more := ""
	if n := len(why) - 1; n > 0 {
		more = fmt.Sprintf("; and %s more", count(n, "service"))
	}
	return word + " " + why[0] + more
}

// reasonOf names the check that a service's status rests on.
func reasonOf(s healthd.Service) string {
	c := s.Blame()
	if c == nil {
		i := slices.IndexFunc(s.Checks, func(c healthd.Check) bool { return c.Verdict.Status == s.Status })
		if i < 0 {
			return s.Name
		}
		c = &s.Checks[i]
	}
	return s.Name + "/" + c.Name + colon(c.Verdict.Last.Detail)
}

// theyAre lists names in a sentence that begins with "there".
func theyAre(names []string) string {
	if len(names) == 1 {
		return "is " + names[0]
	}
	return "are " + strings.Join(names, ", ")
}
