package config

// schema is every key of lbmedic.yaml. A new key is a line here, a field in config.go and a line in build.go.
var schema = &spec{doc: "the configuration of lbmedic", fields: []field{
	{"health", healthSpec},
	{"balancers", spec{doc: "the load balancers on this host, by a name of your choice", each: &balancerSpec}},
	{"sidecar_token", spec{doc: "bearer token that sidecars on other hosts are asked with, one of their health.tokens, so that they tell why a service fails", scalar: bearerToken}},
	{"policy", policySpec},
	{"consul", spec{doc: "the local Consul agent", note: "not used in this version", optional: true, fields: []field{
		{"address", spec{doc: "where the agent listens", scalar: agentAddress, def: []string{"127.0.0.1:8500"}}},
		{"token_file", spec{doc: "file with the ACL token, read when the program starts", scalar: absPath}},
	}}},
	{"admin", spec{doc: "how people and the command line reach the daemon", fields: []field{
		{"socket", spec{doc: "unix socket of the admin API, open to its owner and to the group lbmedic", scalar: socketPath, def: []string{"/run/lbmedic/admin.sock"}}},
		{"remote", spec{doc: "the admin API over TCP with mutual TLS, for the hosts of the apps", optional: true, fields: []field{
			{"listen", spec{doc: "where it listens", required: true, scalar: listen}},
			{"cert", spec{doc: "file of its certificate chain, read again when it changes", required: true, scalar: absPath}},
			{"key", spec{doc: "file of the key of its certificate", required: true, scalar: absPath}},
			{"client_ca", spec{doc: "file of the certificates that sign the clients'", required: true, scalar: absPath}},
			{"allow", spec{doc: "names in clients' certificates (SAN) that may ask", required: true, list: &spec{scalar: hostName}}},
		}}},
		{"http", spec{doc: "where the dashboard and /metrics will listen, or off", note: "not served in this version", scalar: listen, def: []string{"127.0.0.1:7783"}}},
	}}},
	{"state", spec{doc: "directory of the journal and of what must survive a restart", scalar: absPath,
		def: []string{"/var/lib/lbmedic"}}},
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
