package config

// schema is every key of lbmedic.yaml. A new key is a line here, a field in config.go and a line in build.go.
var schema = &spec{doc: "the configuration of lbmedic", fields: []field{
	{"health", healthSpec},
	{"balancers", spec{doc: "the load balancers on this host, by a name of your choice", each: &balancerSpec}},
	{"policy", policySpec},
	{"consul", spec{doc: "the local Consul agent", note: "not used in this version", optional: true, fields: []field{
		{"address", spec{doc: "where the agent listens", scalar: agentAddress, def: []string{"127.0.0.1:8500"}}},
		{"token_file", spec{doc: "file with the ACL token, read when the program starts", scalar: absPath}},
	}}},
	{"admin", spec{doc: "how people and the command line reach the daemon", fields: []field{
		{"socket", spec{doc: "unix socket of the admin API, open to its owner and to the group lbmedic", scalar: socketPath, def: []string{"/run/lbmedic/admin.sock"}}},
		{"http", spec{doc: "where the dashboard and /metrics will listen, or off", note: "not served in this version", scalar: listen, def: []string{"127.0.0.1:7783"}}},
	}}},
	{"state", spec{doc: "directory of the journal and of what must survive a restart", scalar: absPath,
		def: []string{"/var/lib/lbmedic"}}},
}}

var healthSpec = spec{doc: "the sidecar: what is checked on this host and where the answer is served", optional: true, fields: []field{
	{"http", spec{doc: "where GET /health listens, or off", scalar: listen, def: []string{"127.0.0.1:7780"}}},
	{"agent", spec{doc: "where the HAProxy agent-check listens, or off", scalar: listen, def: []string{"127.0.0.1:7781"}}},
	{"balancers", spec{doc: "addresses and networks whose X-Haproxy-Server-State is believed", note: "not used in this version",
		list: &spec{scalar: network}, def: []string{"127.0.0.0/8", "::1/128"}}},
	{"on_term", spec{doc: "what SIGTERM does: drain tells every balancer for 8 s to send nothing new, then stops; leave stops at once",
		scalar: words("drain", "leave"), def: []string{"drain"}}},
	{"services", spec{doc: "the applications on this host, by name", each: &serviceSpec}},
}}

var serviceSpec = spec{noun: "service", fields: []field{
	{"address", spec{doc: "host:port at which the service itself listens", scalar: hostPort}},
	{"checks", spec{doc: "what is asked of the service, by name", required: true, each: &checkSpec}},
}}

var checkSpec = spec{noun: "check", oneOf: []string{"http", "tcp"}, fields: []field{
	{"http", spec{doc: "URL to ask", scalar: webURL}},
	{"tcp", spec{doc: "host:port to connect to", scalar: hostPort}},
	{"interval", spec{doc: "time from the start of one check to the next", scalar: interval, def: []string{"2s"}}},
	{"timeout", spec{doc: "time for the whole check; by default 1s, or half the interval where that is shorter",
		scalar: interval, def: []string{"1s"}}},
	{"rise", spec{doc: "passes in a row that make a failing check pass", scalar: integer(1, 100), def: []string{"2"}}},
	{"fall", spec{doc: "failures in a row that make a passing check fail", scalar: integer(1, 100), def: []string{"3"}}},
	{"latency", spec{doc: "how long a passing check may take", fields: []field{
		{"warn", spec{doc: "a slower pass is a warning", scalar: interval}},
	}}},
	{"impact", spec{doc: "what a failure does: required fails the service, degrade warns, inform only shows",
		scalar: words("required", "degrade", "inform"), def: []string{"required"}}},
	{"shared", spec{doc: "true where other instances depend on the same thing", scalar: boolean, def: []string{"false"}}},
	{"method", spec{doc: "HTTP method", only: "http", scalar: words("GET", "HEAD", "OPTIONS"), def: []string{"GET"}}},
	{"host", spec{doc: "Host header and TLS server name instead of the URL's", only: "http", scalar: hostName}},
	{"status", spec{doc: "status codes that pass", only: "http", list: &spec{scalar: statusCodes}, def: []string{"200-399"}}},
	{"expect", spec{doc: "text that the body must contain", only: "http", scalar: text}},
}}

var balancerSpec = spec{noun: "balancer", oneOf: []string{"haproxy", "nginx"}, fields: []field{
	{"haproxy", spec{doc: "an HAProxy on this host", optional: true, fields: []field{
		{"config", spec{doc: "its config files, in the order of its -f arguments", required: true, list: &spec{scalar: absPath}}},
		{"socket", spec{doc: "its `stats socket … level admin`", required: true, scalar: socketPath}},
		{"master_socket", spec{doc: "its -S socket", scalar: socketPath}},
		{"program", spec{doc: "the program that checks its config", scalar: absPath, def: []string{"/usr/sbin/haproxy"}}},
		{"args", spec{doc: "more arguments for `haproxy -c`", list: &spec{scalar: argument}}},
	}}},
	{"nginx", spec{doc: "an nginx on this host", optional: true, fields: []field{
		{"config", spec{doc: "its main config file", scalar: absPath, def: []string{"/etc/nginx/nginx.conf"}}},
		{"prefix", spec{doc: "its -p", scalar: absPath}},
		{"program", spec{doc: "the program that checks its config", scalar: absPath, def: []string{"/usr/sbin/nginx"}}},
		{"pid", spec{doc: "its pid file, where its config does not name it", scalar: absPath}},
		{"edit", spec{doc: "true lets orders edit its config in place and reload it", scalar: boolean, def: []string{"false"}}},
	}}},
	{"sidecar", spec{doc: "URL of a server's sidecar, with {address}, {port}, {server} and {backend}", scalar: sidecarURL}},
	{"policy", partialPolicy},
}}

var policySpec = spec{doc: "what automation may do", fields: []field{
	{"mode", spec{doc: "observe decides and explains, enforce acts", scalar: words("observe", "enforce"), def: []string{"observe"}}},
	{"capacity", spec{doc: "what automation always leaves standing", fields: []field{
		{"min_percent", spec{doc: "share of a backend's servers that keep serving", scalar: percent(0, 100), def: []string{"50"}}},
		{"max_ejected_percent", spec{doc: "share of a backend's servers that automation has out at a time, but always one",
			scalar: percent(1, 100), def: []string{"10"}}},
		{"min_servers", spec{doc: "servers that keep serving; unset: 1, or 2 from three servers up", scalar: integer(1, 100000)}},
		{"no_floor_until", spec{doc: "until this time min_percent may be 0", scalar: instant}},
	}}},
	{"hash", spec{doc: "allow lets automation act where the algorithm maps keys to servers",
		scalar: words("refuse", "allow"), def: []string{"refuse"}}},
	{"reload", spec{doc: "bounds of reloads by automation", note: "no effect in this version: automation reloads nothing", fields: []field{
		{"spacing", spec{doc: "time between two of them", scalar: duration(second, day), def: []string{"30s"}}},
		{"max_old_workers", spec{doc: "none while more old workers than this are alive", scalar: integer(0, 1000), def: []string{"4"}}},
	}}},
}}

// partialPolicy is the policy of one balancer: what it does not say is taken from the common one.
var partialPolicy = spec{doc: "overrides of the common policy, key by key", optional: true, partial: true, fields: policySpec.fields}
