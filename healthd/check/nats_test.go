package check

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

func TestNATSAgainstTheRealServer(t *testing.T) {
	t.Parallel()
	serve := func(files map[string]string, more ...string) *realServer {
		return recipe{program: "nats-server", files: files, args: append([]string{"-a", "127.0.0.1", "-p", "{port}"}, more...)}.start(t)
	}
	ca := newAuthority(t, "nats authority")
	open := serve(nil)
	stream := serve(nil, "-js", "-sd", "{dir}")
	user := serve(nil, "--user", "probe", "--pass", planted)
	token := serve(nil, "--auth", planted)
	secure := serve(pki(t, ca), "--tls", "--tlscert", "{dir}/cert.pem", "--tlskey", "{dir}/key.pem")
	full := serve(map[string]string{"nats.conf": "max_connections: 0\n"}, "-c", "{dir}/nats.conf")

	login, trust := options{"username": {"probe"}, "password": {planted}}, options{"ca": {secure.dir + "/ca.pem"}}
	open.answers(t, "nats", open.address, nil, healthd.OK)
	stream.answers(t, "nats", stream.address, options{"jetstream": {"true"}}, healthd.OK)
	user.answers(t, "nats", user.address, login, healthd.OK)
	token.answers(t, "nats", token.address, options{"token": {planted}}, healthd.OK)
	secure.answers(t, "nats", secure.address, trust, healthd.OK)
	full.answers(t, "nats", full.address, nil, healthd.OK)
	judge(t, "nats", map[string]seen{
		"up":                {open.address, nil, healthd.OK, "pong, version 2."},
		"url":               {"nats://" + open.address, nil, healthd.OK, "pong"},
		"jetstream":         {stream.address, options{"jetstream": {"true"}}, healthd.OK, "pong"},
		"no jetstream":      {open.address, options{"jetstream": {"true"}}, healthd.WrongAnswer, "jetstream is not enabled"},
		"user":              {user.address, login, healthd.OK, "pong"},
		"user of the url":   {"nats://probe:" + planted + "@" + user.address, nil, healthd.OK, "pong"},
		"no user":           {user.address, nil, healthd.WrongAnswer, "the server says authorization violation"},
		"wrong password":    {user.address, options{"username": {"probe"}, "password": {planted + "x"}}, healthd.WrongAnswer, "authorization violation"},
		"token":             {token.address, options{"token": {planted}}, healthd.OK, "pong"},
		"token of the url":  {"nats://" + planted + "@" + token.address, nil, healthd.OK, "pong"},
		"wrong token":       {token.address, options{"token": {planted + "x"}}, healthd.WrongAnswer, "authorization violation"},
		"tls":               {secure.address, trust, healthd.OK, "pong"},
		"tls of the url":    {"tls://" + secure.address, options{"ca": trust["ca"]}, healthd.OK, "pong"},
		"unknown authority": {secure.address, options{"tls": {"true"}}, healthd.WrongAnswer, "nats authority"},
		"plain to tls":      {secure.address, nil, healthd.WrongAnswer, "requires TLS"},
		"tls to plain":      {open.address, trust, healthd.WrongAnswer, "the server speaks no TLS"},
	})
	judgeSilence(t, open, "nats", open.address, nil)
}

func TestNATSMeetsStrangers(t *testing.T) {
	t.Parallel()
	judgeStrangers(t, "nats", func(address string) string { return address }, options{"token": {planted}})
}

// What the real server says only at moments that a test cannot hold still.
func TestNATSReadsWhatServersSay(t *testing.T) {
	const info = `INFO {"server_id":"N","version":"2.10.1","max_payload":1048576}` + "\r\n"
	for name, c := range map[string]struct {
		says   string
		class  healthd.Class
		detail string
	}{
		"lame duck":               {`INFO {"version":"2.10.1","ldm":true}` + "\r\nPONG\r\n", healthd.Degraded, "lame duck"},
		"lame duck said later":    {info + `INFO {"version":"2.10.1","ldm":true}` + "\r\nPONG\r\n", healthd.Degraded, "lame duck"},
		"its own ping first":      {info + "PING\r\n+OK\r\nPONG\r\n", healthd.OK, "pong, version 2.10.1"},
		"full":                    {"-ERR 'maximum connections exceeded'\r\n", healthd.WrongAnswer, "the server says maximum connections exceeded"},
		"another INFO":            {"INFO is not json\r\n", healthd.WrongAnswer, "no nats answer: its INFO is not"},
		"an INFO without version": {"INFO {}\r\n", healthd.WrongAnswer, "no nats answer: its INFO is not"},
		"chatter":                 {info + strings.Repeat("PING\r\n", 20), healthd.WrongAnswer, "no PONG among them"},
		"the token said back":     {info + fmt.Sprintf("-ERR 'bad token %s'\r\n", planted), healthd.WrongAnswer, "bad token ***"},
		"a version that shows it": {fmt.Sprintf(`INFO {"version":"%s"}`+"\r\nPONG\r\n", planted), healthd.OK, "version ***"},
	} {
		t.Run(name, func(t *testing.T) {
			address := stranger(t, func(conn net.Conn) {
				_, _ = conn.Write([]byte(c.says))
				hangs(conn)
			})
			o := probe(t, "nats", address, options{"token": {planted}}, 5*time.Second)
			if o.Class != c.class || !strings.Contains(o.Detail, c.detail) || strings.Contains(o.Detail, planted) {
				t.Errorf("got %s: %q, want %s: %q", o.Class, o.Detail, c.class, c.detail)
			}
		})
	}
}

func TestNATSSettingsAreValidated(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		o      options
		want   string
	}{
		"a user without a scheme": {"probe:" + planted + "@127.0.0.1:4222", nil, "is no url such as nats://"},
		"another scheme":          {"http://" + planted + "@127.0.0.1", nil, "is no url such as nats://"},
		"two users":               {"nats://" + planted + "@127.0.0.1", options{"username": {"a"}, "password": {"b"}}, "keep one of them"},
		"a token and a user":      {"127.0.0.1:4222", options{"token": {planted}, "username": {"a"}, "password": {"b"}}, "keep one of them"},
		"a username alone":        {"127.0.0.1:4222", options{"username": {"a"}}, "alone does not log in"},
		"no port":                 {"127.0.0.1", nil, "is not host:port"},
	} {
		_, err := New("nats", []string{c.target}, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzNATSInfo(f *testing.F) {
	for _, seed := range []string{`INFO {"version":"2.9.10","ldm":true}`, "-ERR 'x'", "INFO {", "PONG", "", `INFO {"version":1}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		info, err := nats{login: natsConnect{Token: "t0ken"}}.readInfo(line)
		if err == nil && info.Version == "" {
			t.Errorf("%q was read as a server without a version", line)
		}
		if err != nil && strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%q: %v", line, err)
		}
	})
}
