package haproxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Each case is what counts servers; the model then has these thresholds, as "section backend operator low".
func TestWhatCountsServersHoldsAutomation(t *testing.T) {
	const backends = "backend web\n server a 127.0.0.1:1\nbackend api\n server a 127.0.0.1:2\n"
	tests := map[string]struct {
		config string
		want   []string
	}{
		"bare in named defaults": {"defaults base\n http-request deny if { nbsrv lt 2 }\nbackend b1 from base\nlisten b2 from base\nfrontend f from base\ndefaults other\nbackend b3 from other\n",
			[]string{"b1 b1 lt 2", "b2 b2 lt 2"}},
		"bare in the last defaults":        {"defaults base\n acl low nbsrv lt 2\nbackend b1\n", []string{"b1 b1 lt 2"}},
		"named in defaults":                {"defaults base\n http-request deny if { nbsrv(web) lt 2 }\nbackend b1 from base\n", []string{"base web lt 2"}},
		"srv_is_up of a backend":           {"frontend f\n monitor fail if { srv_is_up(web/a) } || { nbsrv(api) lt 1 }\n", []string{"f web  0", "f api lt 1"}},
		"srv_is_up of the own":             {"backend b\n acl up srv_is_up(s1)\n", []string{"b b  0"}},
		"srv_is_up in defaults":            {"defaults d\n acl up srv_is_up(web/s1)\nbackend b from d\n", []string{"d web  0"}},
		"in a variable":                    {"frontend f\n http-request set-var(txn.n) nbsrv(web)\n", []string{"f web  0"}},
		"bare in a variable":               {"backend b\n http-request set-var(txn.n) nbsrv\n", []string{"b b  0"}},
		"bare in a variable of defaults":   {"defaults d\n http-request set-var(txn.n) nbsrv\nbackend b from d\n", []string{"b b  0"}},
		"in a log format":                  {"frontend f\n use_backend %[nbsrv(web),mul(2)] if { nbsrv(api) gt 0 }\n", []string{"f web  0", "f api gt 0"}},
		"two in one word":                  {"frontend f\n http-request set-header n \"%[nbsrv(web)]/%[nbsrv(api)]\"\n", []string{"f web  0", "f api  0"}},
		"quoted name":                      {"frontend f\n http-request set-header n \"%[nbsrv('web')]\"\n", []string{"f web  0"}},
		"a name that cannot be read":       {"frontend f\n http-request set-var(txn.n) \"nbsrv($BACKEND)\"\n", []string{"f web  0", "f api  0"}},
		"a comparison of an unread name":   {"frontend f\n acl low nbsrv($BACKEND,1) lt 2\n", []string{"f web  0", "f api  0"}},
		"an ACL with that name":            {"frontend f\n acl nbsrv nbsrv(web) lt 2\n use_backend x if !nbsrv\n", []string{"f web lt 2"}},
		"a longer name":                    {"frontend f\n acl nbsrv_low path_beg /nbsrv_x\n http-request set-header my-nbsrv x\n", nil},
		"behind a condition by ACL":        {"frontend f\n use_backend x if a { nbsrv(web) lt 2 } !b\n", []string{"f web lt 2"}},
		"second in a comparison's values":  {"frontend f\n acl x var(txn.n),sub(nbsrv(web)) lt 2\n", []string{"f web  0"}},
		"a converter makes it unreadable":  {"frontend f\n acl x nbsrv(web),mul(2) lt 2\n", []string{"f web  0"}},
		"connection counts are no servers": {"frontend f\n acl full connslots(web) lt 2\n acl q queue(web) gt 1\n", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			model, _ := modelOf(t, Host{}, tt.config+"defaults last\n"+backends)
			var got []string
			for _, th := range model.Thresholds {
				if line := fmt.Sprintf("%s %s %s %d", th.Proxy, th.Backend, th.Operator, th.Low); !slices.Contains(got, line) {
					got = append(got, line)
				}
				if th.Operator == "" && !th.Crossed(9, 8) || th.Place.Line == 0 {
					t.Errorf("%+v", th)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), strings.Join(tt.want, ", "))
			}
		})
	}
}

// A defaults section full of counts does not multiply with the backends that use it.
func TestWhatDefaultsCountIsBounded(t *testing.T) {
	model, _ := modelOf(t, Host{}, "defaults base\n"+strings.Repeat(" acl low nbsrv lt 2\n", 1000)+strings.Repeat("backend b from base\n", 10))
	if n := len(model.Thresholds); n != 10*(maxCounts+1) {
		t.Errorf("%d thresholds", n)
	}
	if last := model.Thresholds[maxCounts]; last.Operator != "" || last.Backend != "b" {
		t.Errorf("%+v", last)
	}
}
