package healthd

import (
	"container/heap"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// failing is the verdict of a check that failed from -6 s on, every two seconds, last at 0.
func failing() Verdict {
	var v Verdict
	for s := -6; s <= 0; s += 2 {
		v = v.Step(NewOutcome(t0.Add(time.Duration(s)*time.Second), 0, Refused, ""), Rule{})
	}
	return v
}

func word(s Status, measured, heard int) Word {
	return Word{s, t0.Add(time.Duration(measured) * time.Second), t0.Add(time.Duration(heard) * time.Second)}
}

func TestSharedFailureCountsOnlyWhereSiblingsSeeItPass(t *testing.T) {
	pass, silent, fails := word(Pass, -1, 0), Word{}, word(Fail, -1, 0)
	agreed := Sharing{Agreed: t0.Add(-2 * time.Second)}
	for name, c := range map[string]struct {
		before Sharing
		v      Verdict
		words  []Word
		want   bool
	}{
		"nobody to ask":                      {agreed, failing(), nil, false},
		"one sibling alone":                  {agreed, failing(), []Word{pass}, false},
		"both":                               {agreed, failing(), []Word{pass, pass}, true},
		"one that warns reaches it":          {agreed, failing(), []Word{pass, word(Warn, -1, 0)}, true},
		"one of two":                         {agreed, failing(), []Word{pass, fails}, false},
		"half of four":                       {agreed, failing(), []Word{pass, pass, silent, fails}, true},
		"less than half":                     {agreed, failing(), []Word{pass, pass, silent, silent, silent}, false},
		"silence is unknown":                 {agreed, failing(), []Word{silent, silent, silent}, false},
		"answers of two intervals ago":       {agreed, failing(), []Word{word(Pass, -5, -4), word(Pass, -5, -4)}, true},
		"older answers":                      {agreed, failing(), []Word{word(Pass, -5, -5), pass}, false},
		"measured before we failed":          {agreed, failing(), []Word{word(Pass, -7, 0), pass}, false},
		"measured as we failed":              {agreed, failing(), []Word{word(Pass, -6, 0), pass}, false},
		"from the future":                    {agreed, failing(), []Word{word(Pass, 1, 1), pass}, false},
		"not for a whole interval yet":       {Sharing{Agreed: t0.Add(-time.Second)}, failing(), []Word{pass, pass}, false},
		"for the first time":                 {Sharing{}, failing(), []Word{pass, pass}, false},
		"agreed before we failed":            {Sharing{Agreed: t0.Add(-time.Hour)}, failing(), []Word{pass, pass}, false},
		"our last probe is from before":      {Sharing{Agreed: t0.Add(time.Millisecond)}, failing(), []Word{word(Pass, 1, 2), word(Pass, 1, 2)}, false},
		"our last probe passed":              {agreed, failing().Step(NewOutcome(t0, 0, OK, ""), Rule{}), []Word{pass, pass}, false},
		"our last probe was not made":        {agreed, failing().Step(NewOutcome(t0, 0, OwnFault, ""), Rule{}), []Word{pass, pass}, false},
		"it counted, and they still agree":   {Sharing{Counts: true}, failing().Step(NewOutcome(t0, 0, OwnFault, ""), Rule{}), []Word{word(Pass, -9, 0), pass}, true},
		"it counted, and our own passes":     {Sharing{Counts: true}, failing().Step(NewOutcome(t0, 0, OK, ""), Rule{}), []Word{word(Pass, -9, 0), pass}, false},
		"only held, and fails once more":     {agreed, Verdict{Status: Fail, Raw: Pass, Failing: t0.Add(-4 * time.Second), Last: failing().Last}, []Word{pass, pass}, false},
		"it counted, and they fail now":      {Sharing{Counts: true}, failing(), []Word{pass, fails}, false},
		"it counted, and they are silent":    {Sharing{Counts: true}, failing(), []Word{silent, silent}, false},
		"it counted before a restart":        {Sharing{Counts: true, Trust: t0.Add(4 * time.Second)}, failing(), nil, true},
		"it counted before an early restart": {Sharing{Counts: true, Trust: t0}, failing(), nil, false},
		"trust from the future":              {Sharing{Counts: true, Trust: t0.Add(time.Hour)}, failing(), nil, false},
		"it does not fail":                   {Sharing{Counts: true}, Verdict{Status: Pass}, []Word{pass, pass}, false},
		"it does not fail yet":               {agreed, Verdict{Status: Pass, Failing: t0.Add(-4 * time.Second), Last: failing().Last}, []Word{pass, pass}, false},
	} {
		t.Run(name, func(t *testing.T) {
			now := t0
			if !c.before.Agreed.Before(t0) {
				now = t0.Add(3 * time.Second)
			}
			if got := c.before.Step(c.v, c.words, 2*time.Second, now); got.Counts != c.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// farm is some instances that share one dependency, in made-up time.
type farm struct {
	hosts    []*host
	interval time.Duration
	timeout  time.Duration
	rule     Rule
	lost     int // percent of the answers
	down     func(host int, at time.Time) bool
	todo     events
}

type host struct {
	check   Check
	sharing Sharing
	words   []Word // by host
	left    []time.Time
}

// out reports whether the host takes itself out.
func (h *host) out() bool { return h.check.Verdict.Status == Fail && h.sharing.Counts }

type event struct {
	at time.Time
	do func(at time.Time)
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (f *farm) later(at time.Time, do func(time.Time)) { heap.Push(&f.todo, event{at, do}) }

func newFarm(t *rapid.T, size int) *farm {
	f := &farm{
		interval: time.Duration(rapid.IntRange(500, 5000).Draw(t, "interval ms")) * time.Millisecond,
		rule:     Rule{Rise: rapid.IntRange(1, 3).Draw(t, "rise"), Fall: rapid.IntRange(1, 4).Draw(t, "fall")},
	}
	f.timeout = f.interval / time.Duration(rapid.IntRange(1, 4).Draw(t, "timeout"))
	for i := range size {
		h := &host{check: Check{Kind: "tcp", Target: "db:5432", Shared: true, MaxAge: 3*f.interval + f.timeout}, words: make([]Word, size)}
		f.hosts = append(f.hosts, h)
		f.later(t0.Add(f.some(t, f.interval)), func(at time.Time) { f.probe(t, i, at) })
		f.later(t0.Add(f.some(t, f.interval)), func(at time.Time) { f.ask(t, i, at) })
	}
	return f
}

func (f *farm) some(t *rapid.T, most time.Duration) time.Duration {
	return time.Duration(rapid.Int64Range(0, int64(most/time.Millisecond)).Draw(t, "ms")) * time.Millisecond
}

func (f *farm) probe(t *rapid.T, i int, at time.Time) {
	took, class := f.some(t, f.timeout), OK
	if f.down(i, at) || f.down(i, at.Add(took)) {
		class = Refused
		if rapid.Bool().Draw(t, "hangs") {
			took, class = f.timeout, TimedOut
		}
	}
	f.later(at.Add(took), func(now time.Time) {
		h := f.hosts[i]
		h.check.Verdict = h.check.Verdict.Step(NewOutcome(at, took, class, ""), f.rule)
		f.consult(i, now)
	})
	f.later(at.Add(f.interval), func(at time.Time) { f.probe(t, i, at) })
}

// ask asks each sibling; request and answer take their time, and some answers are lost.
func (f *farm) ask(t *rapid.T, i int, at time.Time) {
	for j := range f.hosts {
		if j == i || rapid.IntRange(1, 100).Draw(t, "lost") <= f.lost {
			continue
		}
		f.later(at.Add(f.some(t, f.interval/4)), func(said time.Time) {
			s := f.hosts[j].check.sighting(said)
			f.later(said.Add(f.some(t, f.interval/4)), func(heard time.Time) {
				f.hosts[i].words[j] = Word{s.Status, at.Add(-s.Age), heard}
				f.consult(i, heard)
			})
		})
	}
	f.later(at.Add(f.interval), func(at time.Time) { f.ask(t, i, at) })
}

func (f *farm) consult(i int, now time.Time) {
	h := f.hosts[i]
	var words []Word
	for j, w := range h.words {
		if j != i {
			words = append(words, w)
		}
	}
	was := h.out()
	h.sharing = h.sharing.Step(h.check.Verdict, words, f.interval, now)
	if h.out() && !was {
		h.left = append(h.left, now)
	}
}

func (f *farm) runUntil(end time.Time) {
	for len(f.todo) > 0 && !f.todo[0].at.After(end) {
		e := heap.Pop(&f.todo).(event)
		e.do(e.at)
	}
}

// A dependency that fails everywhere at once, for however long, takes nobody out: not who notices first, nor who notices its end last.
func TestFailureEverywhereTakesNobodyOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFarm(t, rapid.IntRange(1, 7).Draw(t, "hosts"))
		f.lost = rapid.SampledFrom([]int{0, 0, 20, 90}).Draw(t, "lost percent")
		from := t0.Add(5*f.interval + f.some(t, f.interval))
		to := from.Add(f.some(t, 15*f.interval))
		f.down = func(_ int, at time.Time) bool { return !at.Before(from) && at.Before(to) }
		f.runUntil(to.Add(10 * f.interval))
		for i, h := range f.hosts {
			if h.left != nil {
				t.Fatalf("host %d left at %s, down from %s to %s", i, h.left, from, to)
			}
			if h.check.Verdict.Status != Pass {
				t.Fatalf("host %d is %s at the end", i, h.check.Verdict.Status)
			}
		}
	})
}

// Nor do outages of any length that come and go, with three intervals between them: so long that each host's own probes see their end.
func TestOutagesThatComeAndGoTakeNobodyOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFarm(t, rapid.IntRange(3, 7).Draw(t, "hosts"))
		f.lost = rapid.SampledFrom([]int{0, 0, 20}).Draw(t, "lost percent")
		type outage struct{ from, to time.Time }
		var outages []outage
		at := t0
		for range 6 {
			from := at.Add(3*f.interval + f.some(t, 4*f.interval))
			at = from.Add(f.some(t, 5*f.interval))
			outages = append(outages, outage{from, at})
		}
		f.down = func(_ int, at time.Time) bool {
			return slices.ContainsFunc(outages, func(o outage) bool { return !at.Before(o.from) && at.Before(o.to) })
		}
		f.runUntil(at.Add(5 * f.interval))
		for i, h := range f.hosts {
			if h.left != nil {
				t.Fatalf("host %d left at %s of outages %v, interval %s", i, h.left, outages, f.interval)
			}
		}
	})
}

// Where only one host's path fails, that host leaves, once and soon, and comes back; where the path is lossy it stays out.
func TestFailureOfOneHostTakesThatHostOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFarm(t, rapid.IntRange(3, 7).Draw(t, "hosts"))
		sick := rapid.IntRange(0, len(f.hosts)-1).Draw(t, "sick")
		from := t0.Add(5*f.interval + f.some(t, f.interval))
		bound := time.Duration(max(f.rule.Fall, 6))*f.interval + 3*f.timeout
		to := from.Add(bound + f.some(t, 5*f.interval))
		f.down = func(i int, at time.Time) bool { return i == sick && !at.Before(from) && at.Before(to) }
		f.runUntil(to)
		for i, h := range f.hosts {
			if i != sick && h.left != nil {
				t.Fatalf("host %d left at %s", i, h.left)
			}
		}
		h := f.hosts[sick]
		if len(h.left) != 1 || !h.out() || h.left[0].Sub(from) > bound {
			t.Fatalf("host %d left at %s, failing since %s, by %+v; want once within %s", sick, h.left, from, h.sharing, bound)
		}
		f.runUntil(to.Add(time.Duration(f.rule.Rise+3) * f.interval))
		if h.out() || h.check.Verdict.Status != Pass {
			t.Fatalf("host %d is not back: %s", sick, h.check.Verdict.Status)
		}
	})
}

// A shared outage has every host in Fail, held by the hold-down. It is over, and fewer lost probes than fall take nobody out for the rest of the hold.
func TestHoldDownOfASharedOutageDoesNotReplaceFall(t *testing.T) {
	rule := Rule{Rise: 2, Fall: 5, HoldDown: 5 * time.Minute}
	const interval = 2 * time.Second
	var v Verdict
	var s Sharing
	held := false
	for i := range 150 {
		at := t0.Add(time.Duration(i) * interval)
		everywhere, class, seen := i >= 2 && i < 9, OK, Pass
		if everywhere || i >= 20 && i < 23 {
			class = Refused
		}
		if everywhere {
			seen = Fail
		}
		v = v.Step(NewOutcome(at, 0, class, ""), rule)
		said := Word{seen, at.Add(-time.Millisecond), at}
		for _, later := range []time.Duration{0, interval / 2} {
			s = s.Step(v, []Word{said, said, said, said}, interval, at.Add(later))
		}
		held = held || v.Status == Fail && i >= 20
		if s.Counts {
			t.Fatalf("out at probe %d: %+v", i, v)
		}
	}
	if !held {
		t.Error("nothing was held")
	}
}

// A farm too small to tell whose fault it is degrades.
func TestTwoInstancesNeverBlameOneHost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFarm(t, rapid.IntRange(1, 2).Draw(t, "hosts"))
		from := t0.Add(5 * f.interval)
		f.down = func(i int, at time.Time) bool { return i == 0 && at.After(from) }
		f.runUntil(from.Add(30 * f.interval))
		if f.hosts[0].left != nil || f.hosts[0].check.Verdict.Status != Fail {
			t.Fatalf("left at %s, %s", f.hosts[0].left, f.hosts[0].check.Verdict.Status)
		}
	})
}

func TestSuspectCheckDegradesItsServiceAndSaysSo(t *testing.T) {
	fresh := stack()
	fresh.Services[1].Checks[0].Shared = true // app of web
	s := Restart(fresh, nil, t0)
	s = after(s, "web", "orders", ".")
	v := failing()
	g := s.Generation
	s = s.Update([]Change{{Service: "web", Check: "app", Verdict: v, Suspect: true}}, t0)
	web, _ := s.Service("web")
	if web.Status != Warn || fmt.Sprint(web.Suspect) != "[app]" || web.Weight != 100 || s.Generation != g+1 || web.Blame() == nil || web.Blame().Name != "app" {
		t.Errorf("suspect: %+v", web)
	}
	again := Restart(fresh, s, t0)
	if web, _ = again.Service("web"); web.Status != Warn || fmt.Sprint(web.Suspect) != "[app]" {
		t.Errorf("after a restart: %+v", web)
	}
	s = s.Update([]Change{{Service: "web", Check: "app", Verdict: v}}, t0)
	if web, _ = s.Service("web"); web.Status != Fail || web.Suspect != nil || s.Generation != g+2 {
		t.Errorf("counted: %+v", web)
	}
}
