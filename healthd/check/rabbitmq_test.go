//go:build !lite

package check

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// startRabbitMQ gives the server, the address of its management API, and what an environment its tools need.
func startRabbitMQ(t *testing.T) (s *realServer, management string, env []string) {
	t.Helper()
	epmd := recipe{program: "epmd", args: []string{"-port", "{port}", "-address", "127.0.0.1"}}.start(t)
	_, mapper, _ := net.SplitHostPort(epmd.address)
	epmd.up(t, "epmd", func() (bool, string) { err := peer.Accepts(epmd.address)(); return err == nil, "does not accept" })
	management = net.JoinHostPort("127.0.0.1", portIn(local(t)))
	_, port, _ := net.SplitHostPort(management)
	env = []string{"ERL_EPMD_PORT=" + mapper, "ERL_EPMD_ADDRESS=127.0.0.1", "RABBITMQ_NODENAME=r" + mapper + "@localhost", "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
		"RABBITMQ_NODE_PORT={port}", "RABBITMQ_DIST_PORT={port2}", "RABBITMQ_MNESIA_BASE={dir}/mnesia", "RABBITMQ_LOG_BASE={dir}", "RABBITMQ_LOGS=-",
		"RABBITMQ_ENABLED_PLUGINS_FILE={dir}/plugins", "RABBITMQ_PID_FILE={dir}/pid", "RABBITMQ_CONFIG_FILE={dir}/rabbitmq.conf"}
	s = recipe{program: "rabbitmq-server", env: env, files: map[string]string{"plugins": "[rabbitmq_management].\n",
		"rabbitmq.conf": "default_user = probe\ndefault_pass = " + planted + "\ndefault_user_tags.administrator = true\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = " + port + "\n"}}.start(t)
	return s, management, append(os.Environ(), "HOME="+s.dir, env[0], env[1], env[2])
}

func TestRabbitMQAgainstTheRealServer(t *testing.T) {
	t.Parallel()
	s, management, env := startRabbitMQ(t)
	up := "amqp://probe:" + planted + "@" + s.address + "/"
	alarms := options{"alarms": {"http://probe:" + planted + "@" + management}}
	s.answers(t, "rabbitmq", up, alarms, healthd.OK)
	for range 5 {
		probe(t, "rabbitmq", up, nil, 5*time.Second)
	}
	if log := s.log.String(); strings.Contains(log, "unexpectedly closed") || strings.Contains(log, "[error]") {
		t.Errorf("probes leave errors in the server's log:\n%s", s.log.tail())
	}
	judge(t, "rabbitmq", map[string]seen{
		"up":                       {up, nil, healthd.OK, "channel opened"},
		"no alarms":                {up, alarms, healthd.OK, "channel opened, no alarms"},
		"wrong password":           {strings.Replace(up, planted, planted+"x", 1), nil, healthd.WrongAnswer, "username or password not allowed"},
		"no such virtual host":     {up + "nothing", nil, healthd.WrongAnswer, "vhost"},
		"tls to plain":             {strings.Replace(up, "amqp:", "amqps:", 1), nil, healthd.WrongAnswer, "tls"},
		"wrong management user":    {up, options{"alarms": {"http://probe:" + planted + "x@" + management}}, healthd.WrongAnswer, "management api: status 401"},
		"another management":       {up, options{"alarms": {"http://" + stranger(t, saysHello)}}, healthd.WrongAnswer, "no answer of the management api"},
		"no management":            {up, options{"alarms": {"http://" + local(t)}}, healthd.Refused, "connection refused"},
		"management without tls":   {up, options{"alarms": {"https://" + management}}, healthd.WrongAnswer, "tls"},
		"default virtual host":     {strings.TrimSuffix(up, "/"), nil, healthd.OK, "channel opened"},
		"virtual host by its name": {up + "%2F", nil, healthd.OK, "channel opened"},
	})
	judgeSilence(t, s, "rabbitmq", up, nil)
	t.Run("alarm", func(t *testing.T) {
		cmd := exec.Command(peertest.Tool(t, "rabbitmqctl"), "set_vm_memory_high_watermark", "0.00000001")
		cmd.Env = env
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		s.answers(t, "rabbitmq", up, alarms, healthd.WrongAnswer)
		judge(t, "rabbitmq", map[string]seen{"memory": {up, alarms, healthd.WrongAnswer, "alarm of memory on r"}})
	})
}

func saysHello(c net.Conn) { _, _ = c.Write([]byte("hello\r\n")); hangs(c) }

func TestRabbitMQMeetsStrangers(t *testing.T) {
	t.Parallel()
	judgeStrangers(t, "rabbitmq", func(address string) string { return "amqp://probe:" + planted + "@" + address + "/" }, nil)
}

func TestRabbitMQSettingsAreValidated(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		o      options
		want   string
	}{
		"another scheme":   {"http://probe:" + planted + "@127.0.0.1", nil, "is no url such as amqp://"},
		"a port too big":   {"amqp://probe:" + planted + "@127.0.0.1:99999999", nil, "is not a number from 1 to 65535"},
		"metadata":         {"amqp://probe:" + planted + "@169.254.169.254", nil, "no check may reach"},
		"metadata, alarms": {"amqp://127.0.0.1", options{"alarms": {"http://probe:" + planted + "@169.254.169.254/"}}, "no check may reach"},
		"tls of plain":     {"amqp://127.0.0.1", options{"tls_name": {"mq.test"}}, "tls_name: does nothing"},
		"alarms of what":   {"amqp://127.0.0.1", options{"alarms": {"127.0.0.1:15672"}}, "alarms: is no url"},
	} {
		_, err := New("rabbitmq", []string{c.target}, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
