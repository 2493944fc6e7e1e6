package check

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// saysBack repeats the first chunk it is told, in the words of a protocol.
func saysBack(t *testing.T, form string) string { return saysBackFrom(t, "", form) }

// saysBackFrom begins at a word.
func saysBackFrom(t *testing.T, word, form string) string {
	t.Helper()
	return stranger(t, func(c net.Conn) {
		buf := make([]byte, 4096)
		n, _ := c.Read(buf)
		_, _ = fmt.Fprintf(c, form, strings.Join(strings.Fields(string(buf[max(0, strings.Index(string(buf[:n]), word)):n])), " "))
	})
}

// basicBack is an API that says which password it does not like, and where the user of it came from.
func basicBack(t *testing.T) string {
	t.Helper()
	return stranger(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for line, err := r.ReadString('\n'); err == nil && line != "\r\n"; line, err = r.ReadString('\n') {
			if basic, ok := strings.CutPrefix(line, "Authorization: Basic "); ok {
				defer func() {
					body := "no such user " + planted + ", " + basic
					_, _ = fmt.Fprintf(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				}()
			}
		}
	})
}

type tellingHealth struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (tellingHealth) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	return nil, status.Errorf(codes.Unauthenticated, "bad token %v", md["authorization"])
}

func tellingGRPC(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, tellingHealth{})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		<-ended
	})
	return l.Addr().String()
}

// Servers repeat what they are told; a detail goes to pages, sidecars, Consul and mails.
func TestDetailsShowNoSecretThatIsSaidBack(t *testing.T) {
	t.Parallel()
	user := "http://probe:" + planted + "@"
	for name, c := range map[string]struct {
		kind, target string
		o            options
	}{
		"tcp":               {"tcp", saysBack(t, "ERR unknown command %s\r\n"), options{"send": {`LOGIN probe ` + planted + `\r\n`}, "expect": {"+OK"}}},
		"http":              {"http", "http://" + saysBackFrom(t, "Bearer", "%s\r\n"), options{"headers": {"X-T: Bearer " + planted}}},
		"etcd":              {"etcd", "http://probe:" + planted + "@" + basicBack(t), nil},
		"etcd, not of HTTP": {"etcd", user + saysBackFrom(t, "Basic", "%s\r\n"), nil},
		"redis":             {"redis", saysBack(t, "-ERR you said %s\r\n"), options{"password": {planted}}},
		"redis of a URL":    {"redis", "redis://:" + planted + "@" + saysBack(t, "+you said %s\r\n"), nil},
		"redis, cut":        {"redis", saysBack(t, "+"+strings.Repeat("x", 32)+"%s\r\n"), options{"password": {planted}}},
		"memcached":         {"memcached", saysBack(t, "CLIENT_ERROR %s\r\n"), options{"username": {"probe"}, "password": {planted}}},
		"nats, lower case":  {"nats", stranger(t, func(c net.Conn) { _, _ = io.WriteString(c, "-ERR '"+planted+"'\r\n") }), options{"token": {planted}}},
		"grpc":              {"grpc", tellingGRPC(t), options{"metadata": {"authorization: Bearer " + planted}}},
	} {
		t.Run(name, func(t *testing.T) {
			o := probe(t, c.kind, c.target, c.o, 5*time.Second)
			low := strings.ToLower(o.Detail)
			if strings.Contains(low, strings.ToLower(planted[:3])) || strings.Contains(low, "chjvymu6") || !strings.Contains(o.Detail, hidden) {
				t.Errorf("got %s: %q", o.Class, o.Detail)
			}
		})
	}
}

func TestSecretsOfSettings(t *testing.T) {
	for name, c := range map[string]struct {
		kind, target string
		o            options
		detail, want string
	}{
		"short":                {"redis", "127.0.0.1:6379", options{"password": {"pong"}}, "it said pong", "it said pong"},
		"a user of databases":  {"etcd", "http://127.0.0.1/@monitoring", nil, "no monitoring here", "no monitoring here"},
		"a lone user of HTTP":  {"etcd", "http://s3cretToken@127.0.0.1/", nil, "who is s3cretToken", "who is ***"},
		"escaped in a URL":     {"redis", "redis://u:p%40ss%2Fword@127.0.0.1", nil, "p@ss/word, p%40ss%2Fword", "***, ***"},
		"quoted":               {"redis", "127.0.0.1:6379", options{"password": {`se"cr\et`}}, `it said "se\"cr\\et"`, `it said "***"`},
		"a query of a URL":     {"http", "http://127.0.0.1/?token=abcdefgh&page=overview", nil, "abcdefgh of overview", "*** of overview"},
		"longest first":        {"redis", "redis://u:secret@127.0.0.1", options{}, "secretsecret", "******"},
		"basic":                {"http", "http://127.0.0.1/", options{"headers": {"Authorization: Basic dXNlcjpwYXNzd29yZDE="}}, "not password1, dXNlcjpwYXNzd29yZDE=", "not ***, ***"},
		"a body of JSON":       {"http", "http://127.0.0.1/", options{"body": {`{"user":"me","password":"abcdefgh"}`}}, "no user abcdefgh", "no user ***"},
		"a body of a form":     {"http", "http://127.0.0.1/", options{"body": {`user=me&password=abcdefgh`}}, "no user abcdefgh", "no user ***"},
		"a variable":           {"exec", "/bin/true", options{"env": {"TOKEN=abcdefgh"}}, "TOKEN abcdefgh", "TOKEN ***"},
		"expected openly":      {"tcp", "127.0.0.1:1", options{"send": {`ECHO friend-here SESAME99\r\n`}, "expect": {"friend-here"}}, `expected "friend-here", got SESAME99`, `expected "friend-here", got ***`},
		"a version is none":    {"tcp", "127.0.0.1:1", options{"send": {`GET / HTTP/1.0\r\n\r\n`}, "expect": {"200"}}, "HTTP/1.0 400", "HTTP/1.0 400"},
		"cut off":              {"redis", "127.0.0.1:6379", options{"password": {"abcdefgh"}}, "it said xabcde...", "it said x***..."},
		"no secret, no change": {"redis", "127.0.0.1:6379", nil, "pong...", "pong..."},
	} {
		k, err := Find(c.kind)
		if err != nil {
			t.Fatal(err)
		}
		if got := newSecrets(Settings{kind: &k, target: []string{c.target}, values: c.o}).scrub(c.detail); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestSecretsOfDataSourceNames(t *testing.T) {
	for target, want := range map[string]string{
		"probe:pl@nted/1@tcp(127.0.0.1:3306)/":             "pl@nted/1",
		"host=127.0.0.1 password='it''s' user=monitoring":  "",
		`host=127.0.0.1 password='a b\'c d' dbname=orders`: "a b'c d",
		"host=127.0.0.1 user=monitoring":                   "",
		"mongodb://monitoring@127.0.0.1/?authSource=admin": "",
		"postgres://monitoring:opensesame@127.0.0.1/db":    "opensesame",
		"amqp://monitoring:open%zz@127.0.0.1/":             "open%zz",
		"127.0.0.1:6379":                                   "",
	} {
		told := orderSecrets(userSecrets(target))
		if want == "" && len(told) > 0 || want != "" && !slices.Contains(told, want) || slices.Contains(told, "monitoring") {
			t.Errorf("%s: %q, want %q", target, told, want)
		}
	}
}

func FuzzSecretsAreScrubbed(f *testing.F) {
	f.Add("opensesame", "who is OpenSesame...")
	f.Add("a...bcdef", "a...")
	f.Add("\xff\xfe\xfd\xfc\xfb\xfa", `it said \xff\xfe`)
	f.Fuzz(func(t *testing.T, secret, text string) {
		if len(secret) < minSecret || len(text) > 1000 || strings.Contains(secret, "*") || strings.Contains(text, "*") {
			return
		}
		if got := orderSecrets([]string{secret}).scrub(text); strings.Contains(got, secret) {
			t.Errorf("%q in %q: %q", secret, text, got)
		}
	})
}
