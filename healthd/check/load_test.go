package check

import (
	"testing"

	"github.com/lbmedic/lbmedic/healthd"
)

func TestLoadIsJudgedPerCore(t *testing.T) {
	calm, pressed := recorded(t, "calm"), recorded(t, "pressed")
	for name, c := range map[string]struct {
		target string
		o      options
		class  healthd.Class
		detail string
	}{
		"nothing to do":     {"1m", options{"proc": {calm}}, healthd.OK, "load 0.2 over 1m on 2 cores, 0.1 per core"},
		"overloaded":        {"1m", options{"proc": {pressed}}, healthd.WrongAnswer, "load 34.1 over 1m on 2 cores, 17.05 per core, fails above 8"},
		"less for longer":   {"15m", options{"proc": {pressed}}, healthd.Degraded, "3.06 per core, warns above 2, fails above 8"},
		"pressure":          {"15m", options{"proc": {pressed}, "warn": {"7"}, "some_fail": {"90%"}}, healthd.WrongAnswer, "tasks waited for a processor 93.6% of 10s, fails above 90%"},
		"no pressure":       {"5m", options{"proc": {calm}, "some_warn": {"50"}, "full_warn": {"50"}}, healthd.OK, "tasks waited for a processor 1.6% of 10s"},
		"no kernel for it":  {"5m", options{"proc": {recorded(t, "cgroup_free")}}, healthd.OwnFault, "loadavg: no such file"},
		"this host, surely": {"1m", options{"warn": {"100000"}, "fail": {"100000"}, "some_warn": {"100"}}, healthd.OK, "per core"},
	} {
		t.Run(name, func(t *testing.T) { sees(t, prober(t, "load", []string{c.target}, c.o)(), c.class, c.detail) })
	}
}

func FuzzParseLoad(f *testing.F) {
	f.Add("0.20 0.18 0.12 1/80 11206\n")
	f.Add("NaN -1 1e999")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		load, err := parseLoad(text)
		for _, n := range load {
			if err == nil && !(n >= 0 && n < 1e9) {
				t.Errorf("parseLoad(%q) = %v", text, load)
			}
		}
	})
}

func FuzzParsePressure(f *testing.F) {
	f.Add([]byte("some avg10=1.35 avg60=0.70 avg300=0.57 total=209333884\nfull avg10=0.00 avg60=0.00 avg300=0.03 total=107539612\n"))
	f.Add([]byte("some avg10=NaN"))
	f.Add([]byte("full avg10=101.00\nsome avg10=-0.1"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := parsePressure(raw)
		if err == nil && !(p.some >= 0 && p.some <= 100 && p.full >= 0 && p.full <= 100) {
			t.Errorf("parsePressure(%q) = %v", raw, p)
		}
	})
}
