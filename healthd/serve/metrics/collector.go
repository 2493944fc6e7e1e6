// Package metrics tells Prometheus what healthd/serve tells others, from the same snapshot, and counts what no snapshot holds. It is a
// folder of its own, so that whoever imports healthd/serve does not get a metrics library with it.
package metrics

import (
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/serve"
)

// Reporter takes the outcomes of probes; a *probe.Board does.
type Reporter interface {
	Report(service, check string, o healthd.Outcome)
}

// Settings of a Collector.
type Settings struct {
	Source  serve.Source
	Next    Reporter         // takes each outcome once it is counted; nil: nobody
	Version string           // for lbmedic_build_info
	Now     func() time.Time // nil: time.Now
}

// Collector reads the latest snapshot when Prometheus asks, and counts probes and agent-check answers in between. How many series
// there are is bounded by the configuration: what is neither configured nor a word of ours is not counted under its own name.
type Collector struct {
	settings   Settings
	conditions *serve.Conditions
	tally      *tally
	families   families
}

// New makes a collector. It stands between the probers and the board, as the Reporter of the first.
func New(s Settings) *Collector {
	if s.Now == nil {
		s.Now = time.Now
	}
	return &Collector{settings: s, conditions: serve.NewConditions(s.Source), tally: newTally(), families: newFamilies()}
}

// Handler answers /metrics with these metrics and those of the process, from a registry of its own.
func (c *Collector) Handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4})
}

// Report counts an outcome and hands it on. One of a check that is in no configuration is handed on only.
func (c *Collector) Report(service, check string, o healthd.Outcome) {
	if n := c.tally.of(service, check, c.settings.Source.Latest); n != nil {
		n.add(o)
	}
	if c.settings.Next != nil {
		c.settings.Next.Report(service, check, o)
	}
}

// Answered counts one answer of the agent-check by its words, such as "up" or "ready up"; an empty one is silence. The first word counts, and one
// that is not known counts as "other".
func (c *Collector) Answered(words string) { c.tally.answered(words) }

// Describe lists the families.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	c.families.each(func(d *prometheus.Desc) { descs <- d })
}

// Collect reads the latest snapshot.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	s := c.settings.Source.Latest()
	f := &c.families
	p := page{metrics}
	p.gauge(f.build, 1, label(c.settings.Version), runtime.Version())
	p.gauge(f.age, c.settings.Now().Sub(s.At).Seconds())
	p.gauge(f.score, score(s))
	p.gauge(f.ready, bit(c.conditions.Latest()[""].Serving()))
	c.tally.keep(s)
	seen := map[string]bool{} // two names could have one label
	for i := range s.Services {
		svc := &s.Services[i]
		if name := label(svc.Name); !seen[name] {
			seen[name] = true
			p.service(f, name, svc)
			c.checks(p, name, svc)
		}
	}
	for word, n := range c.tally.words {
		p.counter(f.answers, float64(n.Load()), word)
	}
}

func (c *Collector) checks(p page, service string, svc *healthd.Service) {
	seen := map[string]bool{}
	for i := range svc.Checks {
		check := &svc.Checks[i]
		name := label(check.Name)
		if seen[name] {
			continue
		}
		seen[name] = true
		p.check(&c.families, service, name, check)
		p.counts(&c.families, service, name, check.Latency, c.tally.count(svc.Name, check.Name))
		if check.Shared {
			p.gauge(c.families.suspect, bit(slices.Contains(svc.Suspect, check.Name)), service, name)
		}
	}
}

// score is the share of the instance's weight that is fit for traffic: the mean over its services of the weight of one that passes or
// warns, and 0 for others. Services that people took out are left out, unless all are.
func score(s *healthd.Snapshot) float64 {
	sum, n := 0.0, 0
	for i := range s.Services {
		svc := &s.Services[i]
		if svc.Admin.State != healthd.Ready {
			continue
		}
		n++
		if svc.Status == healthd.Pass || svc.Status == healthd.Warn {
			sum += float64(serve.Weight(svc)) / 100
		}
	}
	switch {
	case n > 0:
		return sum / float64(n)
	case len(s.Services) > 0:
		return 0
	}
	return 1
}
