package check

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// exim starts a real mail server with these lines in its config.
func exim(t *testing.T, a authority, lines string) (*peer.Process, string) {
	t.Helper()
	dir, address := peertest.Dir(t), local(t)
	files(t, dir, a.leaf(nil))
	config := fmt.Sprintf(`exim_user = nobody
exim_group = nogroup
primary_hostname = mail.test
spool_directory = %[1]s
log_file_path = %[1]s/%%slog
daemon_smtp_ports = %[2]s
local_interfaces = 127.0.0.1
tls_certificate = %[1]s/cert.pem
tls_privatekey = %[1]s/key.pem
%[3]s
`, dir, portIn(address), lines)
	path := filepath.Join(dir, "exim.conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	p := peertest.Start(t, peer.Server{Path: peertest.Tool(t, "exim4"), Args: []string{"-bdf", "-C", path, "-oP", filepath.Join(dir, "pid")}, Ready: peer.Accepts(address)})
	return p, address
}

func TestSMTPAsksARealExim(t *testing.T) {
	a := newAuthority(t, "CA")
	ca := a.file()
	server, address := exim(t, a, "tls_advertise_hosts = *")
	secure := options{"starttls": {"true"}, "ca": {ca}}
	judged(t, "smtp", address, nil, healthd.OK, `greeted with 220 "mail.test ESMTP Exim`)
	judged(t, "smtp", address, secure, healthd.OK, "then tls")
	judged(t, "smtp", address, options{"starttls": {"true"}}, healthd.WrongAnswer, `signed by "CA", an unknown authority`)
	judged(t, "smtp", address, options{"starttls": {"true"}, "ca": {ca}, "tls_name": {"mx.test"}}, healthd.WrongAnswer, "not for mx.test")
	judged(t, "smtp", address, options{"tls": {"true"}, "ca": {ca}}, healthd.WrongAnswer, "speaks plain smtp")
	judged(t, "smtp", address, options{"code": {"554"}}, healthd.WrongAnswer, `the greeting is 220 "mail.test ESMTP`)
	judged(t, "tls", address, options{"starttls": {"smtp"}, "ca": {ca}}, healthd.OK, "the certificate of app.test ends in 30 days")
	frozen(t, server, func() { judged(t, "smtp", address, nil, healthd.TimedOut, "no answer in time") })
	server.Stop()
	judged(t, "smtp", address, nil, healthd.Refused, "connection refused")
}

func TestSMTPSeesWhatARealEximLacks(t *testing.T) {
	a := newAuthority(t, "CA")
	o := options{"starttls": {"true"}, "ca": {a.file()}}
	_, plain := exim(t, a, "tls_advertise_hosts =")
	judged(t, "smtp", plain, o, healthd.WrongAnswer, "does not offer STARTTLS")
	_, closed := exim(t, a, "acl_smtp_connect = deny")
	judged(t, "smtp", closed, nil, healthd.WrongAnswer, "the greeting is 550")
	judged(t, "smtp", closed, options{"code": {"550"}}, healthd.OK, "greeted with 550")
}

func TestSMTPAnswersAreJudged(t *testing.T) {
	for name, c := range map[string]struct {
		server func(net.Conn)
		class  healthd.Class
		detail string
	}{
		"another protocol":   {greets("SSH-2.0-OpenSSH_9.2\r\n", nil), healthd.WrongAnswer, `no smtp answer: "SSH-2.0-OpenSSH_9.2"`},
		"refuses ehlo":       {greets("220 x\r\n", map[string]string{"EHLO localhost\r\n": "502 what?\r\n"}), healthd.WrongAnswer, `the answer to EHLO is 502 "what?", expected 250`},
		"two codes":          {greets("220-a\r\n250 b\r\n", nil), healthd.WrongAnswer, "code 250 within a reply of code 220"},
		"endless reply":      {greets(strings.Repeat("220-a\r\n", 500), nil), healthd.WrongAnswer, "a reply of more than 100 lines"},
		"endless line":       {func(c net.Conn) { _, _ = io.Copy(c, flood{}) }, healthd.WrongAnswer, "no smtp answer: a line longer than"},
		"closed":             {func(net.Conn) {}, healthd.WrongAnswer, "closed without an answer"},
		"silent":             {greets("", nil), healthd.TimedOut, "no answer in time"},
		"quit is not waited": {greets("220 x\r\n", map[string]string{"EHLO localhost\r\n": "250 x\r\n"}), healthd.OK, `greeted with 220 "x"`},
	} {
		t.Run(name, func(t *testing.T) { judged(t, "smtp", greeter(t, c.server), nil, c.class, c.detail) })
	}
}

func FuzzSMTPReply(f *testing.F) {
	for _, seed := range []string{"220 ok\r\n", "250-a\r\n250-STARTTLS\n250 c\r\n", "250\n", "25", "999 x\r\n", "220-a\r\n221 b\r\n", "\xff\xfe\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := smtpReply(bufio.NewReaderSize(bytes.NewReader(raw), 1<<10))
		if err == nil && (a.code < 200 || a.code > 599 || len(a.lines) == 0 || len(a.lines) > maxReplyLines) {
			t.Errorf("%q is read as %+v", raw, a)
		}
	})
}
