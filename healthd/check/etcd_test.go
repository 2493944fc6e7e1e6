package check

import (
	"errors"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/healthd"
)

func TestEtcdAgainstTheRealServer(t *testing.T) {
	t.Parallel()
	serve := func(files map[string]string, scheme, cluster string, more ...string) *realServer {
		return recipe{program: "etcd", files: files, args: append([]string{"--name", "a", "--data-dir", "{dir}/data", "--listen-client-urls", scheme + "://{addr}",
			"--advertise-client-urls", scheme + "://{addr}", "--listen-peer-urls", "http://127.0.0.1:{port2}", "--initial-advertise-peer-urls", "http://127.0.0.1:{port2}",
			"--initial-cluster", "a=http://127.0.0.1:{port2}" + cluster}, more...)}.start(t)
	}
	ca := newAuthority(t, "etcd authority")
	alone := serve(nil, "http", "")
	secure := serve(pki(t, ca), "https", "", "--cert-file", "{dir}/cert.pem", "--key-file", "{dir}/key.pem", "--trusted-ca-file", "{dir}/ca.pem", "--client-cert-auth")
	half := serve(nil, "http", ",b=http://127.0.0.1:{port3}")

	trust := options{"ca": {secure.dir + "/ca.pem"}, "cert": {secure.dir + "/cert.pem"}, "key": {secure.dir + "/key.pem"}}
	alone.answers(t, "etcd", "http://"+alone.address, nil, healthd.OK)
	secure.answers(t, "etcd", "https://"+secure.address, trust, healthd.OK)
	half.answers(t, "etcd", "http://"+half.address, nil, healthd.TimedOut) // it serves nobody before it has had a quorum
	judge(t, "etcd", map[string]seen{
		"up":                    {"http://" + alone.address, nil, healthd.OK, "healthy"},
		"path of a newer etcd":  {"http://" + alone.address, options{"path": {"readyz"}}, healthd.WrongAnswer, "does not know the path"},
		"tls":                   {"https://" + secure.address, trust, healthd.OK, "healthy"},
		"no client certificate": {"https://" + secure.address, options{"ca": trust["ca"]}, healthd.WrongAnswer, "certificate"},
		"unknown authority":     {"https://" + secure.address, nil, healthd.WrongAnswer, "etcd authority"},
	})
	judgeSilence(t, alone, "etcd", "http://"+alone.address, nil)
}

func TestEtcdMeetsStrangers(t *testing.T) {
	t.Parallel()
	judgeStrangers(t, "etcd", func(address string) string { return "http://probe:" + planted + "@" + address }, nil)
}

func TestEtcdWordsAreJudged(t *testing.T) {
	for name, c := range map[string]struct {
		path       string
		status     int
		body, want string
	}{
		"3.4":              {"health", 200, `{"health":"true"}`, ""},
		"3.5":              {"health", 200, `{"health":"true","reason":""}`, ""},
		"readyz":           {"readyz", 200, "ok\n", ""},
		"readyz verbose":   {"readyz", 200, "ok", ""},
		"no space":         {"health", 503, `{"health":"false","reason":"ALARM NOSPACE"}`, "status 503, unhealthy: ALARM NOSPACE"},
		"no leader in 3.4": {"health", 503, `{"health":"false"}`, `status 503, health is "false"`},
		"false with 200":   {"health", 200, `{"health":"false"}`, `status 200, health is "false"`},
		"another service":  {"health", 200, "<html>", `not the words of etcd: "<html>"`},
		"json of another":  {"health", 200, `{"status":"up"}`, "not the words of etcd"},
		"a long reason":    {"health", 503, `{"health":"false","reason":"` + strings.Repeat("x", 5000) + `"}`, "unhealthy: xxx"},
		"ok of another":    {"health", 200, "ok", `not the words of etcd: "ok"`},
		"okay of another":  {"readyz", 200, "okay, nothing here is etcd", "not the words of etcd"},
		"health of readyz": {"readyz", 200, `{"health":"true"}`, "not the words of etcd"},
		"moved":            {"health", 301, "", "status 301"},
		"readyz failed":    {"readyz", 503, "[-]serializable_read failed\x1b[31m", `status 503: [-]serializable_read failed\x1b[31m`},
	} {
		got := etcdTrouble(c.path, c.status, []byte(c.body))
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || len(got) > 200 {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestEtcdRefusesKeysOfTLSWithoutTLS(t *testing.T) {
	_, err := New("etcd", []string{"http://127.0.0.1:2379"}, options{"skip_verify": {"true"}})
	if said, ok := errors.AsType[KeyError](err); !ok || said.Key != "skip_verify" {
		t.Errorf("%v", err)
	}
}
