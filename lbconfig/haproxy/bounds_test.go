package haproxy

import (
	"strings"
	"testing"
)

// A few short lines cannot make more servers than the budget of the model, whichever sections they stand in.
func TestServersOfTheWholeModelAreBounded(t *testing.T) {
	const section = "backend b\n server-template s 19999 127.0.0.1:80\n server one 127.0.0.1:80\n"
	model, problems := modelOf(t, Host{}, strings.Repeat(section, 10))
	if len(problems) != 0 || model.Proxies[9].Server("one") == nil {
		t.Errorf("at the bound: %v", problems)
	}
	model, problems = modelOf(t, Host{}, strings.Repeat(section, 9)+"backend first\n server x 127.0.0.1:80\n"+strings.Repeat(section, 5))
	total := 0
	for i := range model.Proxies {
		total += len(model.Proxies[i].Servers)
	}
	if total != maxServers {
		t.Errorf("%d servers", total)
	}
	if len(problems) != 1 || problems[0].Rule != "bounds" || problems[0].Line != 32 {
		t.Errorf("problems %v", problems)
	}
}
