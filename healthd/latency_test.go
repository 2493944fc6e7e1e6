package healthd

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func took(d time.Duration, class Class) Outcome { return NewOutcome(t0, d, class, "status 200") }

// Whatever was added, the ring gives what sorting the last answers would give.
func TestRingGivesThePercentilesOfTheLastAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Ring
		var all []time.Duration
		for range rapid.IntRange(0, 300).Draw(t, "results") {
			o := took(time.Duration(rapid.Int64Range(-5, 1<<33).Draw(t, "micros"))*time.Microsecond, classes().Draw(t, "class"))
			r.Add(o)
			if o.Class == OK || o.Class == Degraded || o.Class == TimedOut {
				all = append(all, min(max(o.Took, 0), (1<<32-1)*time.Microsecond))
			}
		}
		last := slices.Sorted(slices.Values(all[max(0, len(all)-RingSize):]))
		got := r.Latency()
		if got.N != len(last) {
			t.Fatalf("rests on %d results, want %d", got.N, len(last))
		}
		for percent, p := range map[int]time.Duration{50: got.P50, 95: got.P95, 99: got.P99} {
			noSlower := 0
			for _, d := range last {
				if d <= p {
					noSlower++
				}
			}
			if len(last) > 0 && (!slices.Contains(last, p) || noSlower*100 < percent*len(last)) {
				t.Fatalf("p%d is %s: %d of %d are no slower", percent, p, noSlower, len(last))
			}
		}
	})
}

func TestRingCostsWhatItHolds(t *testing.T) {
	var r Ring
	for i := range 1000 {
		r.Add(took(time.Duration(i)*time.Millisecond, OK))
		if l := r.Latency(); l.P99 < time.Duration(i*99/100-1)*time.Millisecond || i >= RingSize && l.P50 != time.Duration(i-RingSize/2)*time.Millisecond {
			t.Fatalf("after %d: %+v", i, l)
		}
		if size := cap(r.micros); size > max(8, 2*(i+1)) || size > RingSize {
			t.Fatalf("room for %d results after %d", size, i+1)
		}
	}
}

func TestLatencyIsReadableInJSON(t *testing.T) {
	l := Latency{N: 128, P50: 1200 * time.Microsecond, P95: 3 * time.Millisecond, P99: 2 * time.Second}
	text, err := json.Marshal(l)
	if want := `{"n":128,"p50":"1.2ms","p95":"3ms","p99":"2s"}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v, want %s", text, err, want)
	}
	for _, same := range []string{string(text), `{"n":128,"P50":1200000,"P95":3000000,"P99":2000000000}`} {
		var read Latency
		if err := json.Unmarshal([]byte(same), &read); err != nil || read != l {
			t.Errorf("%s was read as %+v, %v", same, read, err)
		}
	}
	for _, bad := range []string{`{"n":1,"p50":"fast"}`, `{"n":1,"p50":[]}`, `{"n":"x"}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), new(Latency)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestLatencyRule(t *testing.T) {
	const ms = time.Millisecond
	slowish := Latency{N: 128, P50: 100 * ms, P95: 300 * ms, P99: 900 * ms}
	warn, both := LatencyRule{Warn: 250 * ms}, LatencyRule{Warn: 250 * ms, Fail: time.Second}
	must := LatencyRule{Fail: time.Second, Required: true}
	for name, c := range map[string]struct {
		rule   LatencyRule
		o      Outcome
		class  Class
		slow   Slowness
		detail string
	}{
		"no rule takes any":                 {LatencyRule{}, took(time.Hour, OK), OK, InTime, "status 200"},
		"at the threshold is in time":       {warn, took(250*ms, OK), OK, InTime, "status 200"},
		"beyond it warns":                   {warn, took(251*ms, OK), Degraded, Slow, "status 200 after 251ms, warned above 250ms"},
		"beyond fail still only warns":      {both, took(2*time.Second, OK), Degraded, VerySlow, "status 200 after 2s, warned above 1s"},
		"beyond fail, where required":       {must, took(2*time.Second, OK), WrongAnswer, VerySlow, "status 200 after 2s, failed above 1s"},
		"within fail, where required":       {must, took(900*ms, OK), OK, InTime, "status 200"},
		"a warning of another kind stays":   {warn, took(ms, Degraded), Degraded, InTime, "status 200"},
		"and can be slow too":               {warn, took(time.Second, Degraded), Degraded, Slow, "status 200 after 1s, warned above 250ms"},
		"a wrong answer is only that":       {both, took(time.Hour, WrongAnswer), WrongAnswer, InTime, "status 200"},
		"a refusal too":                     {both, took(time.Hour, Refused), Refused, InTime, "status 200"},
		"an own fault says nothing":         {must, took(time.Hour, OwnFault), OwnFault, InTime, "status 200"},
		"a timeout is very slow":            {both, took(time.Second, TimedOut), TimedOut, VerySlow, "status 200"},
		"but not where nobody cares":        {LatencyRule{}, took(time.Second, TimedOut), TimedOut, InTime, "status 200"},
		"p50 in time, whatever this took":   {LatencyRule{Warn: 250 * ms, Of: P50}, took(time.Hour, OK), OK, InTime, "status 200"},
		"p95 beyond it, whatever this took": {LatencyRule{Warn: 250 * ms, Of: P95}, took(ms, OK), Degraded, Slow, "status 200 with p95 of 300ms over 128 results, warned above 250ms"},
		"p99 beyond fail":                   {LatencyRule{Fail: 800 * ms, Required: true, Of: P99}, took(ms, OK), WrongAnswer, VerySlow, "status 200 with p99 of 900ms over 128 results, failed above 800ms"},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.rule.Judge(c.o, slowish)
			if got.Class != c.class || got.Slow != c.slow || got.Detail != c.detail {
				t.Errorf("got %s, %d, %q", got.Class, got.Slow, got.Detail)
			}
		})
	}
	few := Latency{N: minResults - 1, P50: time.Hour, P95: time.Hour, P99: time.Hour}
	if got := (LatencyRule{Warn: ms, Of: P99}).Judge(took(time.Hour, OK), few); got.Class != OK {
		t.Errorf("a percentile of %d results was judged: %+v", few.N, got)
	}
}

func TestQuantilesRoundTrip(t *testing.T) {
	for _, q := range []Quantile{Each, P50, P95, P99} {
		if got, err := ParseQuantile(q.String()); err != nil || got != q {
			t.Errorf("%s: %v, %v", q, got, err)
		}
	}
	if _, err := ParseQuantile("p42"); err == nil {
		t.Error("p42 was read")
	}
}
