package config

import (
	"math"
	"slices"
	"time"

	"github.com/lbmedic/lbmedic/healthd/check"
)

var healthSpec = spec{doc: "the sidecar: what is checked on this host and where the answer is served", optional: true, fields: []field{
	{"http", spec{doc: "where GET /health listens, or off", scalar: listen, def: []string{"127.0.0.1:7780"}}},
	{"agent", spec{doc: "where the HAProxy agent-check listens, or off", scalar: listen, def: []string{"127.0.0.1:7781"}}},
	{"grpc", spec{doc: "where gRPC health v1 listens, such as 127.0.0.1:7782, or off", scalar: listen, def: []string{"off"}}},
	{"balancers", spec{doc: "addresses and networks whose X-Haproxy-Server-State is believed",
		list: &spec{scalar: network}, def: []string{"127.0.0.0/8", "::1/128"}}},
	{"tokens", spec{doc: "bearer tokens whose senders see details, beside loopback; several, so that they can be changed", list: &spec{scalar: bearerToken}}},
	{"tokens_only", spec{doc: "true where loopback sees no details either: a proxy on this host may speak for anybody", scalar: boolean, def: []string{"false"}}},
	{"on_term", spec{doc: "what SIGTERM does: drain tells every balancer to send nothing new, waits for them to leave, then stops; leave stops at once",
		scalar: words("drain", "leave"), def: []string{"drain"}}},
	{"term_timeout", spec{doc: "the longest that this drain takes", scalar: duration(second, day), def: []string{"30s"}}},
	{"drain_as", spec{doc: "how HAProxy's agent-check hears of a drain: 0%, its weight, which keeps off what operators set, or drain, its admin state, which servers that track it follow",
		scalar: words("0%", "drain"), def: []string{"0%"}}},
	{"drain_wait", spec{doc: "how long drain --wait waits where no controller can confirm", scalar: duration(0, day), def: []string{"30s"}}},
	{"slow_start", spec{doc: "how long the weight takes to come back after a drain, where it has steps; 0: at once", scalar: duration(0, day), def: []string{"0s"}}},
	{"controllers", spec{doc: "the lbmedics beside the balancers, who know whether a server has drained", optional: true, fields: []field{
		{"urls", spec{doc: "https://host:port of their admin.remote", required: true, list: &spec{scalar: webURL}}},
		{"ca", spec{doc: "file of the certificates that sign theirs", required: true, scalar: absPath}},
		{"cert", spec{doc: "file of our certificate chain", required: true, scalar: absPath}},
		{"key", spec{doc: "file of the key of our certificate", required: true, scalar: absPath}},
	}}},
	{"services", spec{doc: "the applications on this host, by name", each: &serviceSpec}},
}}

var serviceSpec = spec{noun: "service", fields: []field{
	{"address", spec{doc: "host:port at which the service itself listens", scalar: hostPort}},
	{"siblings", spec{doc: "URLs of /health/SERVICE of the other instances, who are asked about shared dependencies", list: &spec{scalar: webURL}}},
	{"min_weight", spec{doc: "slowness lowers the weight no further", scalar: percent(1, 100), def: []string{"25"}}},
	{"groups", spec{doc: "how many members of a group of checks must pass, by group; 1 for one that is not named", each: &groupSpec}},
	{"checks", spec{doc: "what is asked of the service, by name", required: true, each: &checkSpec}},
}}

var groupSpec = spec{noun: "group", scalar: integer(1, 1000)}

var checkSpec = spec{noun: "check", oneOf: kindNames(), variants: kindFields(), see: "checks.md", fields: []field{
	{"interval", spec{doc: "time from the start of one check to the next", scalar: interval, def: []string{"2s"}}},
	{"timeout", spec{doc: "time for the whole check; by default 1s, or half the interval where that is shorter",
		scalar: interval, def: []string{"1s"}}},
	{"rise", spec{doc: "passes in a row that make a failing check pass", scalar: integer(1, 100), def: []string{"2"}}},
	{"fall", spec{doc: "failures in a row that make a passing check fail", scalar: integer(1, 100), def: []string{"3"}}},
	{"hold_down", spec{doc: "a status that got worse stays so at least this long", scalar: duration(0, day), def: []string{"0s"}}},
	{"grace", spec{doc: "failures do not count for so long after a start", scalar: duration(0, day), def: []string{"0s"}}},
	{"damping", spec{doc: "holds a check that flaps in its worse state: each turn for the worse adds 1 to a penalty", optional: true, fields: []field{
		{"half_life", spec{doc: "in which the penalty halves", scalar: duration(second, day), def: []string{"1m"}}},
		{"suppress", spec{doc: "above this penalty the worse state is held", scalar: number(1, 1000), def: []string{"3"}}},
		{"reuse", spec{doc: "until the penalty is below this", scalar: number(0.01, 1000), def: []string{"1"}}},
		{"max", spec{doc: "the longest that it is held", scalar: duration(second, day), def: []string{"10m"}}},
	}}},
	{"latency", spec{doc: "how long a passing check may take", fields: []field{
		{"warn", spec{doc: "slower is a warning", scalar: interval}},
		{"fail", spec{doc: "slower is slow in earnest", scalar: interval}},
		{"of", spec{doc: "what is compared: each result, or a quantile of the last 128", scalar: words("each", "p50", "p95", "p99"), def: []string{"each"}}},
		{"impact", spec{doc: "degrade lowers the weight and warns, required fails the check where it is slower than fail",
			scalar: words("degrade", "required"), def: []string{"degrade"}}},
	}}},
	{"impact", spec{doc: "what a failure does: required fails the service, degrade warns, inform only shows; degrade by default for resources of the host",
		scalar: words("required", "degrade", "inform"), def: []string{"required"}}},
	{"group", spec{doc: "checks of one group count as one, which passes while enough of them do", scalar: groupName}},
	{"shared", spec{doc: "true where other instances depend on the same thing", scalar: boolean, def: []string{"false"}}},
}}

// kindNames are the kinds of check of this build, the plainest first.
func kindNames() []string {
	names := check.Names()
	slices.SortStableFunc(names, func(a, b string) int { return plainness(a) - plainness(b) })
	return names
}

func plainness(kind string) int {
	if i := slices.Index([]string{"http", "tcp"}, kind); i >= 0 {
		return i
	}
	return 2
}

// kindFields are the keys that each kind of check has of its own, its name first.
func kindFields() map[string][]field {
	fields := map[string][]field{}
	for _, name := range check.Names() {
		kind, err := check.Find(name)
		if err != nil { // it was named just now
			panic(err)
		}
		fields[name] = []field{{name, optionSpec(kind.Target)}}
		for _, o := range kind.Options {
			fields[name] = append(fields[name], field{o.Key, optionSpec(o)})
		}
	}
	return fields
}

// optionSpec describes a key of a kind of check as the table does the others.
func optionSpec(o check.Option) spec {
	one := spec{doc: o.Doc, scalar: optionScalar(o)}
	if o.Secret {
		one.scalar = secretScalar(one.scalar, o)
	}
	if !o.List {
		one.def = o.Default
		return one
	}
	return spec{doc: o.Doc, list: &spec{scalar: one.scalar}, def: o.Default}
}

func optionScalar(o check.Option) *scalar {
	least, most := int(o.Min), int(o.Max)
	switch o.Type {
	case check.Word:
		return words(o.Words...)
	case check.Bool:
		return boolean
	case check.Int:
		if most == 0 {
			most = math.MaxInt32
		}
		return integer(least, most)
	case check.Number:
		if o.Max == 0 {
			return number(o.Min, math.MaxInt32)
		}
		return number(o.Min, o.Max)
	case check.Percent:
		if most == 0 {
			most = 100
		}
		return percent(least, most)
	case check.Duration:
		if o.Max == 0 {
			return duration(time.Duration(o.Min*float64(second)), 100*365*day)
		}
		return duration(time.Duration(o.Min*float64(second)), time.Duration(o.Max*float64(second)))
	case check.Path:
		return absPath
	case check.HostPort:
		return hostPort
	case check.Host:
		return hostName
	case check.URL:
		return webURL
	case check.StatusCodes:
		return statusCodes
	}
	return text
}
