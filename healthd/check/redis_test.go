package check

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

func TestRedisAgainstTheRealServer(t *testing.T) {
	t.Parallel()
	base := []string{"--bind", "127.0.0.1", "--dir", "{dir}", "--save", "", "--daemonize", "no"}
	serve := func(files map[string]string, more ...string) *realServer {
		return recipe{program: "redis-server", files: files, args: append(append([]string{}, base...), more...)}.start(t)
	}
	port := []string{"--port", "{port}"}
	ca := newAuthority(t, "redis authority")
	primary := serve(nil, append(port, "--maxmemory", "20mb", "--repl-diskless-sync-delay", "0")...)
	guarded := serve(nil, append(port, "--requirepass", planted, "--user", "probe", "on", ">"+planted, "+ping", "+info",
		"--user", "bare", "on", ">"+planted, "+ping")...)
	secure := serve(pki(t, ca), "--port", "0", "--tls-port", "{port}", "--tls-cert-file", "{dir}/cert.pem", "--tls-key-file", "{dir}/key.pem",
		"--tls-ca-cert-file", "{dir}/ca.pem", "--tls-auth-clients", "no")
	host, number, _ := net.SplitHostPort(primary.address)
	replica := serve(nil, append(port, "--replicaof", host+" "+number)...)

	login := options{"username": {"probe"}, "password": {planted}}
	with := func(o options, key, value string) options {
		more := maps.Clone(o)
		more[key] = []string{value}
		return more
	}
	trust := options{"ca": {secure.dir + "/ca.pem"}}
	guarded.answers(t, "redis", guarded.address, login, healthd.OK)
	secure.answers(t, "redis", secure.address, trust, healthd.OK)
	primary.answers(t, "redis", primary.address, nil, healthd.OK)
	replica.answers(t, "redis", replica.address, options{"role": {"replica"}}, healthd.OK)
	judge(t, "redis", map[string]seen{
		"up":                  {primary.address, nil, healthd.OK, "pong"},
		"url":                 {"redis://" + primary.address, nil, healthd.OK, "pong"},
		"primary":             {primary.address, options{"role": {"primary"}}, healthd.OK, "pong, role primary"},
		"replica":             {replica.address, options{"role": {"replica"}}, healthd.OK, "pong, role replica"},
		"not a replica":       {primary.address, options{"role": {"replica"}}, healthd.WrongAnswer, "role primary, expected replica"},
		"not a primary":       {replica.address, options{"role": {"primary"}}, healthd.WrongAnswer, "role replica, expected primary"},
		"memory is enough":    {primary.address, options{"memory_warn": {"99%"}}, healthd.OK, "% of maxmemory used"},
		"memory warns":        {primary.address, options{"memory_warn": {"1%"}, "memory_fail": {"99"}}, healthd.Degraded, "% of maxmemory used"},
		"memory fails":        {primary.address, options{"memory_fail": {"1%"}}, healthd.WrongAnswer, "% of maxmemory used"},
		"no limit of memory":  {replica.address, options{"memory_fail": {"1%"}}, healthd.OK, "no maxmemory set"},
		"password":            {guarded.address, options{"password": {planted}}, healthd.OK, "pong"},
		"ACL user":            {guarded.address, with(login, "role", "primary"), healthd.OK, "role primary"},
		"user of the url":     {"redis://probe:" + planted + "@" + guarded.address + "/", nil, healthd.OK, "pong"},
		"no password":         {guarded.address, nil, healthd.WrongAnswer, "PING: NOAUTH Authentication required."},
		"wrong password":      {guarded.address, options{"password": {planted + "x"}}, healthd.WrongAnswer, "AUTH: WRONGPASS"},
		"wrong user":          {guarded.address, with(login, "username", "nobody"), healthd.WrongAnswer, "AUTH: WRONGPASS"},
		"user without INFO":   {guarded.address, options{"username": {"bare"}, "password": {planted}, "role": {"primary"}}, healthd.WrongAnswer, "INFO: NOPERM"},
		"user of PING alone":  {guarded.address, options{"username": {"bare"}, "password": {planted}}, healthd.OK, "pong"},
		"needless password":   {primary.address, options{"password": {planted}}, healthd.WrongAnswer, "AUTH: ERR AUTH <password> called without any password"},
		"tls":                 {secure.address, trust, healthd.OK, "pong"},
		"rediss":              {"rediss://" + secure.address, options{"skip_verify": {"true"}}, healthd.OK, "pong"},
		"unknown authority":   {secure.address, options{"tls": {"true"}}, healthd.WrongAnswer, "redis authority"},
		"wrong name":          {secure.address, with(trust, "tls_name", "other.test"), healthd.WrongAnswer, "not for other.test"},
		"role of the guarded": {guarded.address, with(login, "role", "replica"), healthd.WrongAnswer, "expected replica"},
	})
	judgeSilence(t, primary, "redis", primary.address, nil)
	t.Run("the primary is gone", func(t *testing.T) {
		primary.stop(t, 0)
		replica.answers(t, "redis", replica.address, options{"role": {"replica"}}, healthd.WrongAnswer)
		judge(t, "redis", map[string]seen{
			"link":        {replica.address, options{"role": {"replica"}}, healthd.WrongAnswer, "role replica, its link to the primary is down"},
			"of no role":  {replica.address, nil, healthd.Degraded, "pong, role replica, its link to the primary is down"},
			"with memory": {replica.address, options{"memory_warn": {"90%"}}, healthd.Degraded, "is down"},
			"no primary":  {replica.address, options{"role": {"primary"}}, healthd.WrongAnswer, "role replica, expected primary"},
		})
	})
}

func TestRedisMeetsStrangers(t *testing.T) {
	t.Parallel()
	judgeStrangers(t, "redis", func(address string) string { return address }, options{"password": {planted}, "role": {"primary"}})
}

// What no real server says: a proxy, or a fake.
func TestRedisJudgesWhatIsMissing(t *testing.T) {
	bulk := func(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }
	for name, c := range map[string]struct {
		said   string
		o      options
		class  healthd.Class
		detail string
	}{
		"no memory":            {"+PONG\r\n" + bulk("") + bulk(""), options{"memory_fail": {"90%"}}, healthd.WrongAnswer, "pong, INFO memory does not tell used_memory"},
		"maxmemory alone":      {"+PONG\r\n" + bulk("maxmemory:1000\r\n") + bulk(""), options{"memory_fail": {"90%"}}, healthd.WrongAnswer, "does not tell used_memory"},
		"no memory to warn of": {"+PONG\r\n" + bulk("") + bulk(""), options{"memory_warn": {"90%"}}, healthd.Degraded, "does not tell used_memory"},
		"a proxy that closes":  {"+PONG\r\n", nil, healthd.OK, "pong"},
		"a proxy that refuses": {"+PONG\r\n-ERR unsupported command\r\n", nil, healthd.OK, "pong"},
		"closes when asked":    {"+PONG\r\n", options{"role": {"primary"}}, healthd.WrongAnswer, "the connection was closed"},
		"silent primary":       {"+PONG\r\n" + bulk("role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:40\r\n"), options{"role": {"replica"}}, healthd.OK, "role replica, its primary silent for 40 s"},
	} {
		said := stranger(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1024)); _, _ = conn.Write([]byte(c.said)) })
		if o := probe(t, "redis", said, c.o, 5*time.Second); o.Class != c.class || !strings.Contains(o.Detail, c.detail) {
			t.Errorf("%s: %s: %q, want %s: %q", name, o.Class, o.Detail, c.class, c.detail)
		}
	}
}

// A server may say back what it was told, the password with it.
func TestRedisShowsNoPasswordThatIsSaidBack(t *testing.T) {
	echo := stranger(t, func(c net.Conn) {
		buf := make([]byte, 1024)
		n, _ := c.Read(buf)
		_, _ = fmt.Fprintf(c, "-ERR you said %s\r\n", strings.ReplaceAll(string(buf[:n]), "\r\n", " "))
	})
	o := probe(t, "redis", echo, options{"password": {planted}}, 5*time.Second)
	if o.Class != healthd.WrongAnswer || strings.Contains(o.Detail, planted) || !strings.Contains(o.Detail, "***") {
		t.Errorf("got %s: %q", o.Class, o.Detail)
	}
}

func TestRedisSettingsAreValidated(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		o      options
		want   string
	}{
		"a password without a scheme": {"probe:" + planted + "@127.0.0.1:6379", nil, "begins with redis://"},
		"another scheme":              {"http://probe:" + planted + "@127.0.0.1", nil, "is no url such as redis://"},
		"a url that is none":          {"redis://probe:" + planted + "@127.0.0.1:63%zz", nil, "is no url such as redis://"},
		"a database":                  {"redis://probe:" + planted + "@127.0.0.1/7", nil, "it names no database"},
		"two passwords":               {"redis://probe:" + planted + "@127.0.0.1", options{"password": {"x"}}, "is given in the url too"},
		"two passwords and no name":   {"redis://:" + planted + "@127.0.0.1", options{"password": {"x"}}, "is given in the url too"},
		"a username alone":            {"127.0.0.1:6379", options{"username": {"probe"}}, "alone does not log in"},
		"a warning that never comes":  {"127.0.0.1:6379", options{"memory_warn": {"95%"}, "memory_fail": {"90%"}}, "never warn"},
		"no port":                     {"127.0.0.1", nil, "is not host:port"},
		"metadata":                    {"169.254.169.254:6379", nil, "which no check may reach"},
	} {
		_, err := New("redis", []string{c.target}, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzRESP(f *testing.F) {
	for _, seed := range []string{"+PONG\r\n", "-NOAUTH x\r\n", "$5\r\nabcde\r\n", "$-1\r\n", "$99999999\r\nx", "$2\r\nabcd", ":5\r\n", "\r\n", "", "*1\r\n",
		"$0\r\n\r\n", respCommand("AUTH", "a\r\nb"), strings.Repeat("+", maxLine+1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		reply, err := readRESP(bufio.NewReaderSize(strings.NewReader(text), maxLine))
		if err != nil && reply != "" || len(reply) > maxBulk {
			t.Errorf("%q: %q with %v", text, reply, err)
		}
		info := redisInfo{}
		info.read(text)
		if percent, ok := info.memory(); ok && !(percent >= 0) {
			t.Errorf("%q: %v %%", text, percent)
		}
	})
}
