package haproxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/lbconfig"
)

func modelOf(t *testing.T, host Host, texts ...string) (Model, []lbconfig.Problem) {
	t.Helper()
	var sources []*lbconfig.Source
	for i, text := range texts {
		sources = append(sources, lbconfig.NewSource(fmt.Sprintf("f%d", i+1), []byte(text)))
	}
	files, problems := ParseAll(sources)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return files.Model(host)
}

func corpusModel(t *testing.T, name string) *Model {
	t.Helper()
	files, problems := Load("testdata/corpus", name)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	model, _ := files.Model(Host{Env: lookupTestEnv, Version: Release{Major: 3}})
	return &model
}

func TestThresholdsAreFound(t *testing.T) {
	model := corpusModel(t, "persistence.cfg")
	var got []string
	for _, th := range model.Thresholds {
		got = append(got, fmt.Sprintf("%s %s(%s) %s %d %d line %d", th.Proxy, th.ACL, th.Backend, th.Operator, th.Low, th.High, th.Place.Line))
	}
	want := []string{"entry web_weak(web) lt 2 2 line 10", "entry web_range(web) eq 1 3 line 11", "entry web_range(web) eq 5 5 line 11",
		"entry api_dead(api) eq 0 0 line 12", "entry (web) lt 1 1 line 14", "entry (api) le 0 0 line 14"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func TestAThresholdIsCrossed(t *testing.T) {
	tests := map[string]struct {
		threshold Threshold
		from, to  int
		want      bool
	}{
		"lt 2 from 2 to 1":   {Threshold{Operator: "lt", Low: 2}, 2, 1, true},
		"lt 2 from 3 to 2":   {Threshold{Operator: "lt", Low: 2}, 3, 2, false},
		"le 2 from 3 to 2":   {Threshold{Operator: "le", Low: 2}, 3, 2, true},
		"ge 2 from 2 to 1":   {Threshold{Operator: "ge", Low: 2}, 2, 1, true},
		"gt 2 from 3 to 2":   {Threshold{Operator: "gt", Low: 2}, 3, 2, true},
		"gt 2 from 2 to 1":   {Threshold{Operator: "gt", Low: 2}, 2, 1, false},
		"eq 1:2 from 3 to 2": {Threshold{Operator: "eq", Low: 1, High: 2}, 3, 2, true},
		"eq 1:2 from 2 to 1": {Threshold{Operator: "eq", Low: 1, High: 2}, 2, 1, false},
		"unreadable":         {Threshold{}, 9, 8, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.threshold.Crossed(tt.from, tt.to); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestNbsrvThatCannotBeComparedIsSaid(t *testing.T) {
	model, _ := modelOf(t, Host{}, "backend b\n acl a nbsrv(b),add(1) lt 2\n acl c nbsrv -f /x\n http-request set-var(txn.n) nbsrv(b)\n")
	if len(model.Thresholds) != 3 || model.Thresholds[2].Operator != "" || model.Thresholds[2].Backend != "b" || model.Thresholds[0].Operator != "" || model.Thresholds[1].Operator != "" || model.Thresholds[1].Backend != "b" {
		t.Errorf("thresholds %+v", model.Thresholds)
	}
	if len(model.Unsure) != 1 || model.Unsure[0].Line != 4 || model.Unsure[0].Col != 30 {
		t.Errorf("unsure %v", model.Unsure)
	}
}

func TestPersistenceIsFound(t *testing.T) {
	model := corpusModel(t, "persistence.cfg")
	web := model.Backend("web")
	if web.Cookie.Name != "SERVERID" || !web.Stick || !web.ForcePersist || !web.Persist || len(web.UseServer) != 1 || web.UseServer[0].Server != "w2" ||
		web.UseServer[0].Condition != "if { path_beg /two }" || !web.MapHash() || web.FineWeights() {
		t.Errorf("%+v", web)
	}
	if api := model.Backend("api"); api.Stick || api.ForcePersist || api.Cookie.Name != "" || api.FineWeights() || api.MapHash() {
		t.Errorf("%+v", api)
	}
	if entry := model.Proxies[0]; entry.Kind != "frontend" || entry.DefaultBackend != "web" || !slices.Equal(entry.UseBackends, []string{"panic"}) || entry.HasServers() {
		t.Errorf("%+v", entry)
	}
}

func TestDefaultsReachOverFilesAndRedispatchIsInherited(t *testing.T) {
	model, problems := modelOf(t, Host{}, "defaults\n mode http\n option redispatch\n timeout queue 7s\n timeout server 20\n",
		"backend a\n no option redispatch\nbackend b\n timeout server 1m\ndefaults\nbackend c\n")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	a, b, c := model.Backend("a"), model.Backend("b"), model.Backend("c")
	if a.Redispatch || !b.Redispatch || c.Redispatch || a.Mode != "http" || c.Mode != "tcp" {
		t.Errorf("%+v\n%+v\n%+v", a, b, c)
	}
	if a.Timeouts != (Timeouts{Queue: 7 * time.Second, Server: 20 * time.Millisecond}) || b.Timeouts.Server != time.Minute || c.Timeouts != (Timeouts{}) {
		t.Errorf("%+v %+v %+v", a.Timeouts, b.Timeouts, c.Timeouts)
	}
	if b.Place != (lbconfig.Place{File: "f2", Line: 3, Col: 1}) {
		t.Errorf("place %v", b.Place)
	}
}

func TestChecksOfServers(t *testing.T) {
	model := corpusModel(t, "checks.cfg")
	agent := model.Backend("agent")
	a1, a2, a3 := agent.Server("a1"), agent.Server("a2"), agent.Server("a3")
	if a1.Inter != 2*time.Second || a1.FastInter != 500*time.Millisecond || a1.DownInter != 10*time.Second || a1.AgentInter != 5*time.Second ||
		a1.AgentSend != "web\n" || a1.AgentAddr != "127.0.5.1" || a1.AgentPort != 7781 || !a1.WeightNamed || a2.WeightNamed || a2.Weight != 1 {
		t.Errorf("%+v\n%+v", a1, a2)
	}
	if address, port, tls := a2.CheckTarget(); address != "127.0.5.2" || port != 7780 || tls {
		t.Errorf("check target %s %d %v", address, port, tls)
	}
	if a3.Observe != "layer7" || a3.OnError != "mark-down" || a3.OnMarkedDown != "shutdown-sessions" || a3.SlowStart != 30*time.Second || a3.MaxConn != 200 {
		t.Errorf("%+v", a3)
	}
	if agent.Timeouts.Check != 750*time.Millisecond {
		t.Errorf("%+v", agent.Timeouts)
	}
	if c := model.Backend("state").Check; c.Kind != "httpchk" || !c.HTTP.DisableOn404 || !c.HTTP.SendState || c.HTTP.URI != "/dflt" {
		t.Errorf("%+v", c)
	}
	if c := model.Backend("script").Check; c.Kind != "tcp-check" || len(c.TCP) != 3 || c.TCP[1][1] != "PING\r\n" {
		t.Errorf("%+v", c)
	}
}

func TestHTTPCheckRules(t *testing.T) {
	model, _ := modelOf(t, Host{}, `backend b
 option httpchk
 http-check connect port 8443 ssl sni app.example alpn h2,http/1.1 send-proxy addr 10.0.0.9
 http-check send meth POST uri /deep ver HTTP/1.1 hdr Host app.example hdr X-Probe "yes no" body ping
 http-check expect min-recv 4 comment "it answers" ! rstatus ^5
 http-check expect string ok
 server s 10.0.0.1:443 ssl check verify none check-sni x.example check-send-proxy
 server t 10.0.0.2:443 ssl check port 80
`)
	h := model.Backend("b").Check.HTTP
	if h.Method != "POST" || h.URI != "/deep" || h.Version != "HTTP/1.1" || h.Host() != "app.example" || h.Headers[1] != (Header{"X-Probe", "yes no"}) || h.Body != "ping" || h.Sends != 1 {
		t.Errorf("%+v", h)
	}
	if !slices.Equal(h.Expect, []Expect{{true, "rstatus", "^5"}, {false, "string", "ok"}}) {
		t.Errorf("%+v", h.Expect)
	}
	if !slices.Equal(h.Connects, []Connect{{Port: "8443", Addr: "10.0.0.9", SSL: true, SNI: "app.example", ALPN: "h2,http/1.1", SendProxy: true}}) {
		t.Errorf("%+v", h.Connects)
	}
	s, u := model.Backend("b").Server("s"), model.Backend("b").Server("t")
	if _, port, tls := s.CheckTarget(); port != 443 || !tls || s.Verify != "none" || s.CheckSNI != "x.example" || !s.CheckSendProxy {
		t.Errorf("%+v", s)
	}
	if _, port, tls := u.CheckTarget(); port != 80 || tls {
		t.Errorf("%+v", u)
	}
}

func TestGlobalAndBinds(t *testing.T) {
	model, problems := modelOf(t, Host{}, `global
 stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners user haproxy group ops
 stats socket ipv4@127.0.0.1:9999 level operator
 stats socket unix@/run/x.sock
 stats timeout 30s
 stats maxconn 20
 hard-stop-after 5m
 server-state-base /var/lib/haproxy
 server-state-file global.state
 chroot /var/lib/haproxy
 user haproxy
 nbthread 4
 master-worker
 lua-load /etc/haproxy/hook.lua
frontend f
 bind :80,:443-445 ssl crt /etc/x.pem
 bind /run/f.sock
 bind "10.0.0.1:8080" v4v6
 bind quic4@:8443 ssl
`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	g := model.Global
	if g.HardStopAfter != 5*time.Minute || g.ServerStateFile != "global.state" || g.ServerStateBase != "/var/lib/haproxy" || g.Chroot != "/var/lib/haproxy" ||
		g.User != "haproxy" || g.NbThread != 4 || !g.MasterWorker || g.StatsTimeout != 30*time.Second || g.StatsMaxConn != 20 {
		t.Errorf("%+v", g)
	}
	if len(g.Runs) != 1 || g.Runs[0].Path != "/etc/haproxy/hook.lua" {
		t.Errorf("%+v", g.Runs)
	}
	want := []StatsSocket{{Address: "/run/haproxy/admin.sock", Path: "/run/haproxy/admin.sock", Mode: "660", Level: "admin", ExposeFD: true, User: "haproxy", Group: "ops", Place: lbconfig.Place{File: "f1", Line: 2, Col: 15}},
		{Address: "ipv4@127.0.0.1:9999", Level: "operator", Place: lbconfig.Place{File: "f1", Line: 3, Col: 15}},
		{Address: "unix@/run/x.sock", Path: "/run/x.sock", Level: "operator", Place: lbconfig.Place{File: "f1", Line: 4, Col: 15}}}
	if !slices.Equal(g.StatsSockets, want) {
		t.Errorf("%+v", g.StatsSockets)
	}
	var binds []string
	for _, b := range model.Proxies[0].Binds {
		binds = append(binds, fmt.Sprintf("%s %q %d-%d %s ssl=%v", b.Spec, b.Host, b.Port, b.PortEnd, b.Path, b.SSL))
	}
	wantBinds := []string{`:80 "" 80-80  ssl=true`, `:443-445 "" 443-445  ssl=true`, `/run/f.sock "" 0-0 /run/f.sock ssl=false`,
		`10.0.0.1:8080 "10.0.0.1" 8080-8080  ssl=false`, `quic4@:8443 "" 8443-8443  ssl=true`}
	if !slices.Equal(binds, wantBinds) {
		t.Errorf("%s", strings.Join(binds, "\n"))
	}
}

func TestWhatHAProxyReadsOtherwiseThanAPersonIsAProblem(t *testing.T) {
	model, problems := modelOf(t, Host{}, "backend b\n server s 10.0.0.1:1808x weight heavy inter 1m30s\n timeout server soon\nbackend c from nowhere\n server-template w 1-99999999 h:80\n")
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%d:%d %s", p.Line, p.Col, p.Rule))
	}
	if want := []string{"2:11 port", "2:33 server-option", "2:45 server-option", "3:17 time", "4:1 defaults", "5:20 server-template"}; !slices.Equal(got, want) {
		t.Errorf("got %v", problems)
	}
	if s := model.Backend("b").Server("s"); s.Port != 1808 {
		t.Errorf("%+v", s)
	}
}

func TestConditionsThatCannotBeKnownCountAsTrueAndAreSaid(t *testing.T) {
	model, _ := modelOf(t, Host{}, "backend b\n.if feature(OPENSSL)\n server a \"$HOST:1\"\n.elif 1\n server b 10.0.0.2:1\n.else\n server c 10.0.0.3:1\n.endif\n")
	if s := model.Backend("b").Servers; len(s) != 1 || s[0].Name != "a" {
		t.Errorf("%+v", s)
	}
	if len(model.Unsure) != 2 || model.Unsure[0].Line != 2 || !strings.Contains(model.Unsure[1].Text, "$HOST") {
		t.Errorf("%v", model.Unsure)
	}
}

func TestSettingsOfOneSectionDoNotLeakIntoTheNext(t *testing.T) {
	model, _ := modelOf(t, Host{}, "defaults\n option httpchk GET /d\n http-check send hdr A 1\n http-check expect status 200\nbackend a\n option httpchk\n http-check send hdr B 2\n http-check expect status 204\nbackend b\n")
	b := model.Backend("b").Check.HTTP
	if len(b.Headers) != 1 || b.Headers[0].Name != "A" || b.Expect[0].Pattern != "200" || b.URI != "/d" {
		t.Errorf("%+v", b)
	}
	if a := model.Backend("a").Check.HTTP; len(a.Headers) != 1 || a.Headers[0].Name != "B" || a.URI != "/" {
		t.Errorf("%+v", a)
	}
}

func FuzzModel(f *testing.F) {
	for _, seed := range []string{"defaults d\n acl a nbsrv\n acl b srv_is_up(\nbackend b from d\n http-request set-var(txn.n) %[nbsrv(')]nbsrv(x\n server s [::1]:1 check addr [::1]:\n",
		"backend b\n server s 1.2.3.4:80 check\n", "defaults d\nbackend b from d\n default-server weight 1\n server-template s 1-3 h:80\n",
		"global\n setenv A b\n.if defined(A)\n stats socket \"$A\" level\n.endif\n", "frontend f\n bind ::,[::]:1-2,\n acl x nbsrv( lt\n http-check send hdr\n",
		"backend b\n option httpchk GET / \"a\\r\\nb:c\\r\\n\\r\\nd\"\n http-check expect ! comment\n use-server x\n timeout server\n cookie\n balance\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, _ := Parse(lbconfig.NewSource("f", data))
		model, problems := Files{file}.Model(Host{Env: lookupTestEnv, Version: Release{Major: 2, Minor: 6}})
		for _, p := range append(problems, model.Unsure...) {
			if p.Line < 1 || p.Line > len(file.Lines) || strings.Contains(p.Text, "\n") {
				t.Errorf("%+v", p)
			}
		}
		for _, p := range model.Backends() {
			for _, s := range p.Servers {
				if s.Name == "" || s.Inter <= 0 || p.Server(s.Name) == nil {
					t.Errorf("%+v", s)
				}
			}
		}
		for _, th := range model.Thresholds {
			if th.Backend == "" && th.Proxy != "" {
				t.Errorf("%+v", th)
			}
		}
	})
}
