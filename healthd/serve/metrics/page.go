package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/serve"
)

// page is one answer to Prometheus.
type page struct{ metrics chan<- prometheus.Metric }

func (p page) gauge(d *prometheus.Desc, value float64, labels ...string) {
	p.metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (p page) counter(d *prometheus.Desc, value float64, labels ...string) {
	p.metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
}

var (
	statuses = []healthd.Status{healthd.Unknown, healthd.Pass, healthd.Warn, healthd.Fail}
	orders   = []healthd.AdminState{healthd.Ready, healthd.Drain, healthd.Maint}
)

func (p page) service(f *families, name string, svc *healthd.Service) {
	for _, s := range statuses {
		p.gauge(f.status, bit(svc.Status == s), name, s.String())
	}
	for _, o := range orders {
		p.gauge(f.admin, bit(svc.Admin.State == o), name, o.String())
	}
	p.gauge(f.serviceStale, bit(svc.Stale), name)
	p.gauge(f.weight, float64(serve.Weight(svc))/100, name)
}

func (p page) check(f *families, service, name string, c *healthd.Check) {
	for _, s := range statuses {
		p.gauge(f.checkStatus, bit(c.Verdict.Status == s), service, name, s.String())
	}
	p.gauge(f.checkStale, bit(c.Stale), service, name)
	p.gauge(f.checkDamped, bit(serve.Damped(c)), service, name)
	last := c.Verdict.Last
	if last.Unit != "" && last.Class.Status() != healthd.Unknown && !math.IsNaN(last.Value) {
		p.gauge(f.observed, last.Value, service, name, label(last.Unit))
	}
}

func (p page) counts(f *families, service, name string, l healthd.Latency, n *count) {
	quantiles := map[float64]float64{}
	if l.N > 0 {
		quantiles = map[float64]float64{0.5: l.P50.Seconds(), 0.95: l.P95.Seconds(), 0.99: l.P99.Seconds()}
	}
	p.counter(f.runs, float64(n.runs.Load()), service, name)
	p.counter(f.failures, float64(n.failures.Load()), service, name)
	p.counter(f.faults, float64(n.faults.Load()), service, name)
	p.metrics <- prometheus.MustNewConstSummary(f.duration, n.measured.Load(), time.Duration(n.took.Load()).Seconds(), quantiles, service, name)
}

func bit(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// maxLabel bounds a label's value, in bytes.
const maxLabel = 128

// label makes a name fit to be a label's value: one line of printable ASCII.
func label(name string) string { return healthd.Line(name, maxLabel) }
