package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestReferencesStandForWhatTheyName(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two, crlf := write("one", "s3cret\n"), write("two", "s3cret\n\n"), write("crlf", "s3cret\r\n")
	big := write("big", strings.Repeat("x", maxSecret+1))
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct{ text, want, wrong string }{
		"no reference":            {"plain $HOME ${", "", "without its }"},
		"plain":                   {"plain $HOME }", "plain $HOME }", ""},
		"environment":             {"a${env:PASSWORD}b", "ahunter2b", ""},
		"two references":          {"${env:PASSWORD}${env:APP_PORT}", "hunter28080", ""},
		"not set":                 {"${env:NOT_SET}", "", "NOT_SET is not set"},
		"not set, default":        {"${env:NOT_SET:-x:y}", "x:y", ""},
		"empty, default":          {"${env:EMPTY:-x}", "x", ""},
		"empty":                   {"${env:EMPTY}", "", ""},
		"set, default":            {"${env:RISE:-9}", "3", ""},
		"escaped":                 {"$${env:PASSWORD}", "${env:PASSWORD}", ""},
		"escaped and not":         {"$${x}${env:RISE}", "${x}3", ""},
		"value is not read again": {"${file:" + write("ref", "${env:PASSWORD}") + "}", "${env:PASSWORD}", ""},
		"file":                    {"${file:" + one + "}", "s3cret", ""},
		"file, one line break":    {"${file:" + two + "}", "s3cret\n", ""},
		"file, CRLF":              {"${file:" + crlf + "}", "s3cret", ""},
		"file too long":           {"${file:" + big + "}", "", "longer than 64 KiB"},
		"fifo":                    {"${file:" + fifo + "}", "", "not a regular file"},
		"device":                  {"${file:/dev/zero}", "", "not a regular file"},
		"directory":               {"${file:/etc}", "", "not a regular file"},
		"no such file":            {"${file:/nowhere}", "", "no such file"},
		"relative":                {"${file:one}", "", "absolute"},
		"credential":              {"${cred:one}", "s3cret", ""},
		"credential elsewhere":    {"${cred:../one}", "", "no name of a credential"},
		"unknown scheme":          {"${vault:one}", "", "unknown reference"},
		"no scheme":               {"${PASSWORD}", "", "unknown reference"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, _, err := expand(c.text, environment(dir))
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("error %v, want one with %q", err, c.wrong)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("%q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	c := mustParse(t, `
health:
  services:
    web:
      checks:
        a: {http: "http://u:${env:PASSWORD}@127.0.0.1/", rise: "${env:RISE}", expect: "${env:PASSWORD}"}
        b: {http: "http://u:hunter2@127.0.0.1/"}
`)
	check := c.Health.Services[0].Checks[0]
	if check.Target[0] != "http://u:hunter2@127.0.0.1/" || check.Rise != 3 {
		t.Fatalf("check %+v", check)
	}
	for form, text := range map[string]string{"yaml": c.YAML(), "json": string(c.JSON())} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "${env:PASSWORD}") || !strings.Contains(text, "${env:RISE}") {
			t.Errorf("%s shows\n%s", form, text)
		}
	}
}

// Every key of the table in turn is given a secret that is wrong for it: no message tells the secret.
func TestWrongSecretsAreNotTold(t *testing.T) {
	const secret = "enforcer:{x}/65536"
	getenv := func(string) (string, bool) { return secret, true }
	tried := 0
	var try func(s *spec, open, end string)
	try = func(s *spec, open, end string) {
		switch {
		case s.fields != nil:
			for i := range s.fields {
				f := &s.fields[i]
				try(&f.spec, open+"{"+f.key+": ", "}"+end)
			}
			for kind, fields := range s.variants {
				for _, f := range fields {
					if f.key == kind {
						try(&f.spec, open+"{"+f.key+": ", "}"+end)
					} else {
						try(&f.spec, open+"{"+kind+": 'http://127.0.0.1:1/', "+f.key+": ", "}"+end)
					}
				}
			}
		case s.each != nil:
			try(s.each, open+"{a: ", "}"+end)
		default:
			tried++
			_, err := parse("f", []byte(open+"'${env:X}'"+end), getenv)
			if err != nil && (strings.Contains(err.Error(), "enforcer") || strings.Contains(err.Error(), "65536")) {
				t.Errorf("%s: %v", open, err)
			}
		}
	}
	try(schema, "", "")
	if tried < 35 {
		t.Errorf("only %d keys tried", tried)
	}
}

// A secret that is right for each of two values but wrong for both together is not told either.
func TestRulesDoNotTellSecrets(t *testing.T) {
	getenv := func(name string) (string, bool) {
		return map[string]string{"A": "127.0.0.9:4711", "S": "/run/hidden.sock", "D": "4711ms"}[name], true
	}
	_, err := parse("f", []byte(`
health: {http: "${env:A}", agent: "${env:A}", services: {a: {checks: {b: {tcp: "h:1", interval: "${env:D}", timeout: "${env:D}", latency: {warn: "${env:D}"}}}}}}
balancers: {a: {haproxy: {config: /a, socket: "${env:S}", master_socket: "${env:S}"}}}
`), getenv)
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Fatalf("want four mistakes: %v", err)
	}
	for _, secret := range []string{"127.0.0.9", "4711", "hidden"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q is told: %v", secret, err)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, text := range []string{"", "$", "${", "${}", "$${", "$$${env:RISE}", "${env:RISE}}", "${env:NOT:-${env:RISE}}", "a${env:PASSWORD}${env:EMPTY:-x}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "${file:") || strings.Contains(text, "${cred:") {
			return // no reading of whatever files this machine has
		}
		out, found, err := expand(text, environment("/nowhere"))
		if err != nil {
			return
		}
		if !strings.Contains(text, "${") && (out != text || found) {
			t.Fatalf("%q became %q", text, out)
		}
		// Escaping every reference gives the text itself back.
		escaped, found, err := expand(strings.ReplaceAll(text, "${", "$${"), environment("/nowhere"))
		if err != nil || found || escaped != text {
			t.Fatalf("%q escaped became %q, %v, %v", text, escaped, found, err)
		}
	})
}

// Whoever may write what a check runs by reference may have it run anything.
func TestFilesOfProgramsAreNamed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"program": "/bin/true\n", "dsn": "postgres://h/d\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := parse("/etc/f", []byte("health: {services: {web: {checks: {a: {exec: ['${file:"+dir+"/program}', '${cred:program}']}, b: {tcp: 'h:1', expect: '${file:"+dir+"/dsn}'}}}}}\n"), environment(dir))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"/etc/f", dir + "/program", dir + "/program"}; !slices.Equal(c.Health.Files, want) {
		t.Errorf("%q, want %q", c.Health.Files, want)
	}
}
