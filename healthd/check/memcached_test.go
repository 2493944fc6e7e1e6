package check

import (
	"bufio"
	"strings"
	"testing"

	"github.com/lbmedic/lbmedic/healthd"
)

func TestMemcachedAgainstTheRealServer(t *testing.T) {
	t.Parallel()
	open := recipe{program: "memcached", args: []string{"-l", "127.0.0.1", "-p", "{port}", "-U", "0", "-m", "8"}}.start(t)
	guarded := recipe{program: "memcached", args: []string{"-l", "127.0.0.1", "-p", "{port}", "-U", "0", "-m", "8", "-Y", "{dir}/users"},
		files: map[string]string{"users": "probe:" + planted + "\n"}}.start(t)
	local := recipe{program: "memcached", args: []string{"-s", "{dir}/socket", "-m", "8"}}.start(t)
	login := options{"username": {"probe"}, "password": {planted}}
	open.answers(t, "memcached", open.address, nil, healthd.OK)
	guarded.answers(t, "memcached", guarded.address, login, healthd.OK)
	local.answers(t, "memcached", local.dir+"/socket", nil, healthd.OK)
	judge(t, "memcached", map[string]seen{
		"up":                {open.address, nil, healthd.OK, "version 1."},
		"logged in":         {guarded.address, login, healthd.OK, "version 1."},
		"unix socket":       {local.dir + "/socket", nil, healthd.OK, "version 1."},
		"no socket":         {local.dir + "/other", nil, healthd.Refused, "no socket at "},
		"no password":       {guarded.address, nil, healthd.WrongAnswer, "asks for a username"},
		"wrong password":    {guarded.address, options{"username": {"probe"}, "password": {planted + "x"}}, healthd.WrongAnswer, "log in as probe: CLIENT_ERROR authentication failure"},
		"needless password": {open.address, login, healthd.OK, "version 1."},
	})
	judgeSilence(t, open, "memcached", open.address, nil)
}

func TestMemcachedMeetsStrangers(t *testing.T) {
	t.Parallel()
	judgeStrangers(t, "memcached", func(address string) string { return address }, nil)
	judgeStrangers(t, "memcached", func(address string) string { return address }, options{"username": {"probe"}, "password": {planted}})
}

func TestMemcachedRefusesWhatCannotBeSent(t *testing.T) {
	for name, o := range map[string]options{
		"username alone":  {"username": {"probe"}},
		"a second word":   {"username": {"a b"}, "password": {"x"}},
		"a second line":   {"username": {"a"}, "password": {"x\r\nflush_all"}},
		"no such setting": {"role": {"primary"}},
	} {
		if _, err := New("memcached", []string{"127.0.0.1:11211"}, o); err == nil || strings.Contains(err.Error(), "flush_all") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzMemcachedVersion(f *testing.F) {
	for _, seed := range []string{"VERSION 1.6.18\r\n", "ERROR\r\n", "VERSION \r\n", "VERSION 1", "CLIENT_ERROR unauthenticated\r\n", strings.Repeat("x", maxLine+1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		version, err := memcachedVersion(bufio.NewReaderSize(strings.NewReader(text), maxLine))
		if (err == nil) != (version != "") {
			t.Errorf("%q: version %q, error %v", text, version, err)
		}
		if err == nil && !strings.HasPrefix(text, "VERSION "+version) {
			t.Errorf("%q was read as version %q", text, version)
		}
	})
}
