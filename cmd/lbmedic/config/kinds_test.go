package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/healthd/check"
)

// valid is a text of the option's type, for keys of which any will do.
func valid(o check.Option) string {
	switch o.Type {
	case check.Word:
		return o.Words[0]
	case check.Bool:
		return "true"
	case check.Int, check.Number, check.Percent:
		return fmt.Sprint(max(1, int(o.Min)))
	case check.Duration:
		return "7s"
	case check.Path:
		return "/nowhere/at/all"
	case check.HostPort:
		return "127.0.0.1:9"
	case check.Host:
		return "a.example"
	case check.URL:
		return "http://127.0.0.1:9/"
	case check.StatusCodes:
		return "200"
	}
	return "text"
}

// Every key of every kind can be written in a config, beside the kind's own target, whatever else it names: tls and file are kinds too.
func TestEveryKeyOfEveryKindCanBeWritten(t *testing.T) {
	tried := 0
	for _, name := range check.Names() {
		kind, err := check.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range kind.Options {
			example := strings.TrimSuffix(kind.Example, "}")
			if strings.Contains(kind.Example, " "+o.Key+":") {
				continue // the example shows that it can
			}
			tried++
			text := "health: {services: {web: {checks: {c: " + example + ", " + o.Key + ": " + valid(o) + "}}}}}\n"
			_, err := parse("f", []byte(text), environment(""))
			if err == nil {
				continue
			}
			for _, wrong := range []string{"at once", "unknown key", "is for check", "has no kind"} {
				if strings.Contains(err.Error(), wrong) {
					t.Errorf("%s: %v", text, err)
				}
			}
		}
	}
	if tried < 80 {
		t.Errorf("only %d keys tried", tried)
	}
}

// Whatever of a check may be a secret is printed nowhere, and what is printed instead is not taken for one.
func TestSecretsOfChecksAreNeverShown(t *testing.T) {
	const planted = "PLANTEDzq"
	checks := []string{
		"http: 'http://u:PLANTEDzq@h/?api_key=PLANTEDzq&full=1&sig=PLANTEDzq', headers: ['Authorization: Bearer PLANTEDzq'], method: POST, body: PLANTEDzq",
		"nats: 'nats://PLANTEDzq@127.0.0.1:4222'",
		"nats: '127.0.0.1:4222', token: PLANTEDzq",
		"redis: 'redis://:PLANTEDzq@127.0.0.1:6379'",
		"redis: '127.0.0.1:6379', password: PLANTEDzq",
		"postgres: 'host=h user=u password=PLANTEDzq dbname=d'",
		"postgres: 'host=h user=u password=''PLANTEDzq x'' dbname=d'",
		"postgres: 'postgres://u:PLANTEDzq@h/d?sslpassword=PLANTEDzq'",
		"mysql: 'u:PLANTED@PLANTEDzq@tcp(127.0.0.1:3306)/d'",
		"mongodb: 'mongodb://u:PLANTEDzq@127.0.0.1:27017/'",
		"rabbitmq: 'amqp://u:PLANTEDzq@127.0.0.1:5672/', alarms: 'http://u:PLANTEDzq@127.0.0.1:15672/'",
		"etcd: 'http://u:PLANTEDzq@127.0.0.1:2379'",
		"ldap: '127.0.0.1:389', user: 'cn=u', password: PLANTEDzq, starttls: true",
		"grpc: '127.0.0.1:50051', metadata: ['authorization: Bearer PLANTEDzq']",
		"tcp: '127.0.0.1:1', send: PLANTEDzq",
	}
	var b strings.Builder
	b.WriteString("health:\n  services:\n    web:\n      checks:\n")
	for i, c := range checks {
		fmt.Fprintf(&b, "        c%d: {%s}\n", i, c)
	}
	c := mustParse(t, b.String())
	for form, text := range map[string]string{"yaml": c.YAML(), "json": string(c.JSON())} {
		for line := range strings.Lines(text) {
			if strings.Contains(line, planted) {
				t.Errorf("%s shows %s", form, line)
			}
		}
	}
	for _, ch := range c.Health.Services[0].Checks {
		if target := WithoutSecret(ch.Kind, ch.Target); strings.Contains(target, planted) {
			t.Errorf("the target of %s is %q", ch.Name, target)
		}
	}
	if _, err := parse("shown", []byte(c.YAML()), environment("")); err == nil || !strings.Contains(err.Error(), "which is what config show prints for a secret") {
		t.Errorf("what is shown instead of secrets is taken: %v", err)
	}
}
