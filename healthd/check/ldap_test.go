package check

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

const directory = `dn: dc=test
objectClass: dcObject
objectClass: organization
o: test
dc: test

dn: cn=probe,dc=test
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: probe
userPassword: pl4nted-S3cret

dn: ou=people,dc=test
objectClass: organizationalUnit
ou: people

dn: cn=ann,ou=people,dc=test
objectClass: organizationalRole
cn: ann

dn: cn=bob,ou=people,dc=test
objectClass: organizationalRole
cn: bob
`

// slapd starts a real directory that shows the tree to everybody, and the people only to the probe.
func slapd(t *testing.T, a authority, lines string) (*peer.Process, string) {
	t.Helper()
	dir, address := peertest.Dir(t), local(t)
	files(t, dir, a.leaf(nil))
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile %[1]s/cert.pem
TLSCertificateKeyFile %[1]s/key.pem
%[2]s
database mdb
suffix dc=test
directory %[1]s/db
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=people,dc=test" by dn.exact="cn=probe,dc=test" read by * none
access to * by * read
`, dir, lines)
	conf, ldif := filepath.Join(dir, "slapd.conf"), filepath.Join(dir, "tree.ldif")
	for path, text := range map[string]string{conf: config, ldif: directory} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	added := peertest.Start(t, peer.Server{Path: peertest.Tool(t, "slapadd"), Args: []string{"-f", conf, "-l", ldif},
		Ready: func() error { _, err := os.Stat(filepath.Join(dir, "db", "data.mdb")); return err }})
	<-added.Ended()
	return peertest.Start(t, peer.Server{Path: peertest.Tool(t, "slapd"), Args: []string{"-d", "0", "-h", "ldap://" + address, "-f", conf}, Ready: peer.Accepts(address)}), address
}

func TestLDAPAsksARealSlapd(t *testing.T) {
	a := newAuthority(t, "CA")
	ca := a.file()
	server, address := slapd(t, a, "")
	as := func(o options) options {
		o["user"], o["password"] = []string{"cn=probe,dc=test"}, []string{"pl4nted-S3cret"}
		return o
	}
	for name, c := range map[string]struct {
		o      options
		class  healthd.Class
		detail string
	}{
		"anonymous":          {nil, healthd.OK, "bound"},
		"as a user":          {as(options{}), healthd.OK, "bound"},
		"wrong password":     {options{"user": {"cn=probe,dc=test"}, "password": {"pl4nted-Wrong"}}, healthd.WrongAnswer, "bind refused: Invalid Credentials (49)"},
		"wrong user":         {options{"user": {"cn=nobody,dc=test"}, "password": {"x"}}, healthd.WrongAnswer, "bind refused: Invalid Credentials (49)"},
		"found":              {as(options{"base": {"ou=people,dc=test"}, "scope": {"one"}, "min": {"2"}}), healthd.OK, "bound, found 2"},
		"found more":         {as(options{"base": {"ou=people,dc=test"}, "scope": {"sub"}}), healthd.OK, "bound, found 1"},
		"found one":          {as(options{"base": {"dc=test"}, "scope": {"sub"}, "filter": {"(cn=bob)"}}), healthd.OK, "bound, found 1"},
		"found too few":      {as(options{"base": {"ou=people,dc=test"}, "scope": {"one"}, "filter": {"(cn=b*)"}, "min": {"2"}}), healthd.WrongAnswer, "the search found 1 entries, expected 2"},
		"not for strangers":  {options{"base": {"ou=people,dc=test"}, "scope": {"one"}}, healthd.WrongAnswer, "search refused: No Such Object (32)"},
		"no such base":       {options{"base": {"ou=gone,dc=test"}}, healthd.WrongAnswer, "search refused: No Such Object (32)"},
		"starttls":           {as(options{"starttls": {"true"}, "ca": {ca}, "base": {"ou=people,dc=test"}}), healthd.OK, "bound, found 1"},
		"unknown authority":  {options{"starttls": {"true"}}, healthd.WrongAnswer, `signed by "CA", an unknown authority`},
		"tls on a plain one": {options{"tls": {"true"}, "ca": {ca}}, healthd.WrongAnswer, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if o := judged(t, "ldap", address, c.o, c.class, c.detail); strings.Contains(o.Detail, "pl4nted") {
				t.Errorf("%q shows a password", o.Detail)
			}
		})
	}
	frozen(t, server, func() {
		judged(t, "ldap", address, nil, healthd.TimedOut, "no answer in time")
		judged(t, "ldap", address, options{"starttls": {"true"}}, healthd.TimedOut, "no answer in time")
	})
	judged(t, "ldap", address, nil, healthd.OK, "bound")
	server.Stop()
	judged(t, "ldap", address, nil, healthd.Refused, "connection refused")
}

func TestLDAPSeesWhatARealSlapdRefuses(t *testing.T) {
	a := newAuthority(t, "CA")
	_, address := slapd(t, a, "disallow bind_anon\n")
	judged(t, "ldap", address, nil, healthd.WrongAnswer, "bind refused: Inappropriate Authentication (48)")
	_, address = slapd(t, a, "security simple_bind=128\n")
	o := options{"user": {"cn=probe,dc=test"}, "password": {"pl4nted-S3cret"}}
	judged(t, "ldap", address, o, healthd.WrongAnswer, "bind refused: Confidentiality Required (13)")
}

func TestLDAPAnswersAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		server func(net.Conn)
		o      options
		class  healthd.Class
		detail string
	}{
		"another protocol":          {greets("SSH-2.0-OpenSSH_9.2\r\n", nil), nil, healthd.TimedOut, "no answer in time"},
		"endless":                   {greets("\x30\x84\x7f\xff\xff\xff\x04\x84\x7f\xff\xff\xf0"+strings.Repeat("x", 2*maxWatched), nil), nil, healthd.WrongAnswer, "an answer longer than 262144 bytes"},
		"closed":                    {hangsUp, nil, healthd.WrongAnswer, "the connection was closed without one"},
		"another protocol, with id": {greets("HTTP/1.1 400 Bad Request\r\n\r\n", nil), options{"starttls": {"true"}}, healthd.WrongAnswer, `no ldap answer: it begins with "HT"`},
		"refuses tls":               {greets("0\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00", nil), options{"starttls": {"true"}}, healthd.WrongAnswer, "the server refused to change to tls: Unavailable (52)"},
		"long form":                 {greets("0\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x02\x04\x00\x04\x00", nil), options{"starttls": {"true"}}, healthd.WrongAnswer, "the server refused to change to tls: Protocol Error (2)"},
		"an endless answer to tls":  {greets("0\x84\x7f\xff\xff\xff", nil), options{"starttls": {"true"}}, healthd.WrongAnswer, "no ldap answer"},
	} {
		t.Run(name, func(t *testing.T) { judged(t, "ldap", greeter(t, c.server), c.o, c.class, c.detail) })
	}
}

func TestLDAPSettings(t *testing.T) {
	for want, o := range map[string]options{
		"belong together": {"user": {"cn=a"}},
		"is no filter":    {"filter": {"(cn=a"}},
		"is no DN":        {"base": {"people"}},
		"keep one":        {"tls": {"true"}, "starttls": {"true"}},
		"need starttls":   {"tls_name": {"x"}},
	} {
		if _, err := New("ldap", []string{"127.0.0.1:389"}, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", o, err, want)
		}
	}
}

func FuzzLDAPExtendedResult(f *testing.F) {
	f.Add([]byte("\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"))
	f.Add([]byte("\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x34"))
	f.Add([]byte("\x02\x01\x01\x78\x84"))
	f.Fuzz(func(t *testing.T, message []byte) {
		if code, ok := extendedResult(message); ok && !strings.Contains(string(message), "\x0a\x01"+string([]byte{code})) {
			t.Errorf("%x is read as %d", message, code)
		}
	})
}

// A filter without a base would look as if it were asked.
func TestLDAPSearchesNothingWithoutABase(t *testing.T) {
	for key, value := range map[string]string{"filter": "(uid=probe)", "min": "2", "scope": "sub"} {
		if _, err := New("ldap", []string{"127.0.0.1:389"}, options{key: {value}}); err == nil || !strings.Contains(err.Error(), key+": is of a search, and none is made without base") {
			t.Errorf("%s: %v", key, err)
		}
		if _, err := New("ldap", []string{"127.0.0.1:389"}, options{key: {value}, "base": {"dc=example"}}); err != nil {
			t.Errorf("%s with a base: %v", key, err)
		}
	}
}
