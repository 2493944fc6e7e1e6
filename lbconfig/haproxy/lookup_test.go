package haproxy

import (
	"fmt"
	"testing"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// The first of two servers with one name is the one found, with the index and without it.
func TestServersAreFoundByName(t *testing.T) {
	model, _ := modelOf(t, Host{}, "backend b\n server a 127.0.0.1:1\n server-template t 2 127.0.0.1:2\n server a 127.0.0.1:3\nbackend empty\n")
	indexed := model.Backend("b")
	if indexed.index == nil {
		t.Fatal("no index")
	}
	for name, p := range map[string]*Proxy{"indexed": indexed, "by hand": {Servers: indexed.Servers}} {
		if s := p.Server("a"); s == nil || s.Port != 1 {
			t.Errorf("%s: a is %+v", name, s)
		}
		if s := p.Server("t2"); s != &p.Servers[2] {
			t.Errorf("%s: t2 is %+v", name, s)
		}
		if s := p.Server("t3"); s != nil {
			t.Errorf("%s: t3 is %+v", name, s)
		}
	}
	if s := model.Backend("empty").Server("a"); s != nil {
		t.Errorf("%+v", s)
	}
}

// BenchmarkServer asks for each of 10,000 servers of one backend, as one look at HAProxy does.
func BenchmarkServer(b *testing.B) {
	file, _ := Parse(lbconfig.NewSource("f", []byte("backend b\n server-template s 10000 127.0.0.1:80\n")))
	model, _ := Files{file}.Model(Host{})
	var names []string
	for n := range 10000 {
		names = append(names, fmt.Sprintf("s%d", n+1))
	}
	for b.Loop() {
		for _, name := range names {
			if model.Backend("b").Server(name) == nil {
				b.Fatal(name)
			}
		}
	}
}
