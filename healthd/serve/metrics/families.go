package metrics

import "github.com/prometheus/client_golang/prometheus"

// families are the metrics there are.
type families struct {
	build, age, score, ready                                                                  *prometheus.Desc
	status, admin, serviceStale, weight                                                       *prometheus.Desc
	checkStatus, checkStale, checkDamped, suspect, observed, duration, runs, failures, faults *prometheus.Desc
	answers                                                                                   *prometheus.Desc
}

func newFamilies() families {
	family := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("lbmedic_"+name, help, labels, nil)
	}
	return families{
		build: family("build_info", "What was built; always 1.", "version", "goversion"),
		age:   family("state_age_seconds", "How long ago the state that is served was made. It grows where nothing is measured any more."),
		score: family("health_score_ratio", "Share of this instance that is fit for traffic: the mean weight of its services that pass or warn, 0 for others."),
		ready: family("ready", "1 while /health of the whole instance answers 200."),

		status:       family("service_status", "1 for the status that a service has by its checks.", "service", "status"),
		admin:        family("service_admin_state", "1 for the order that is in force for a service.", "service", "state"),
		serviceStale: family("service_stale", "1 where some of what the status rests on was not measured lately.", "service"),
		weight:       family("service_weight_ratio", "Share of its traffic that a service is fit for, less than 1 while it is slow.", "service"),

		checkStatus: family("check_status", "1 for the verdict on a check.", "service", "check", "status"),
		checkStale:  family("check_stale", "1 where a check was not measured lately.", "service", "check"),
		checkDamped: family("check_damped", "1 where a check flaps, so that its verdict is held.", "service", "check"),
		suspect:     family("shared_dependency_suspect", "1 where a shared dependency fails and is not held against this instance, for it fails elsewhere too or nobody could be asked.", "service", "check"),
		observed:    family("check_observed_value", "What the last probe measured, where that is not the time it took.", "service", "check", "unit"),
		duration:    family("check_duration_seconds", "How long probes took; the quantiles are of the last 128.", "service", "check"),
		runs:        family("check_runs_total", "Probes made.", "service", "check"),
		failures:    family("check_failures_total", "Probes that were refused, timed out or got a wrong answer.", "service", "check"),
		faults:      family("check_own_faults_total", "Probes that could not be made for want of something on this host; they count neither way.", "service", "check"),

		answers: family("agent_responses_total", "Answers of the agent-check by their first word; none is silence.", "word"),
	}
}

func (f *families) each(visit func(*prometheus.Desc)) {
	for _, d := range []*prometheus.Desc{
		f.build, f.age, f.score, f.ready, f.status, f.admin, f.serviceStale, f.weight,
		f.checkStatus, f.checkStale, f.checkDamped, f.suspect, f.observed, f.duration, f.runs, f.failures, f.faults, f.answers,
	} {
		visit(d)
	}
}
