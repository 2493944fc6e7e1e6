package demo

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// at is a time of the made-up story, in milliseconds since its start.
func at(ms int) time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(ms) * time.Millisecond)
}

func seen(ms int, server, from, to string, routing bool) Sighting {
	return Sighting{Server: server, Before: Sample{At: at(ms - 10), State: from, Routing: !routing}, Sample: Sample{At: at(ms), State: to, Routing: routing}}
}

func counted(sent, errors, lost int, by map[string]int) Count {
	return Count{Sent: sent, OK: sent - errors - lost, Errors: errors, Lost: lost, By: by}
}

// asPromised is a history in which every promise is kept.
func asPromised() *History {
	out, rising, back := seen(1310, broken, "UP", "DOWN", false), seen(3300, broken, "DOWN", "DOWN 1/2", true), seen(3550, broken, "DOWN 1/2", "UP", true)
	rising.Routing, rising.Before.Routing = false, false
	out.Picked, out.Failed = 120, 18
	rising.Picked, rising.Before.Picked, back.Before.Picked, back.Picked = 120, 120, 120, 121
	return &History{
		Steps: []Step{{ActBreak, at(1000)}, {ActHeal, at(2500)}, {ActDrain, at(4500)}, {ActDrained, at(4700)}, {ActReplaced, at(5000)}, {ActReady, at(5001)}},
		Seen: []Sighting{
			seen(100, "app1", "", "UP", true), seen(100, "app2", "", "UP", true), seen(100, "app3", "", "UP", true),
			out, rising, back,
			seen(4510, deployed, "UP", "DRAIN", false), seen(5020, deployed, "DRAIN", "UP", true),
		},
		Words: []Word{{broken, "pass", at(50)}, {broken, "fail", at(1300)}, {broken, "pass", at(3000)}},
		Rest:  Sample{At: at(4705), State: "DRAIN"},
		Counts: map[Phase]Count{
			Calm: counted(200, 0, 0, nil), Broken: counted(60, 18, 0, nil), Out: counted(300, 0, 0, nil), Returned: counted(200, 0, 0, nil),
			Deploy: counted(300, 0, 0, map[string]int{"app2 v2": 60}), After: counted(200, 0, 0, map[string]int{"app2 v2": 66}),
			NginxDrain: counted(30, 0, 0, nil), NginxOut: counted(50, 0, 0, map[string]int{"app1 v1": 50}), NginxReady: counted(50, 0, 0, map[string]int{"app3 v1": 16}),
		},
		Nginx: true,
	}
}

func TestAStoryThatWentAsPromisedIsKept(t *testing.T) {
	for _, p := range Judge(asPromised()) {
		if !p.Kept {
			t.Errorf("%s: %s", p.Name, p.Detail)
		}
	}
	without := asPromised()
	without.Nginx = false
	delete(without.Counts, NginxOut)
	if r := newReport(without); !r.Kept {
		t.Errorf("without nginx the rest is judged alone: %+v", r.Promises)
	}
}

// drop removes the sightings that are as given.
func drop(h *History, is func(Sighting) bool) { h.Seen = slices.DeleteFunc(h.Seen, is) }

func dropStep(h *History, a Act) {
	h.Steps = slices.DeleteFunc(h.Steps, func(s Step) bool { return s.Act == a })
}

func recount(h *History, p Phase, c Count) { h.Counts[p] = c }

// What can go wrong, and the promise that it breaks. Others may break with it.
func TestEachPromiseCanBeBroken(t *testing.T) {
	outOf := func(server string) func(Sighting) bool {
		return func(s Sighting) bool { return s.Server == server && !s.Routing }
	}
	stories := map[string]struct {
		promise string
		spoil   func(*History)
	}{
		"an app never comes up":              {"all apps serve", func(h *History) { drop(h, func(s Sighting) bool { return s.Server == "app3" }) }},
		"an app is down before the break":    {"all apps serve", func(h *History) { h.Seen = slices.Insert(h.Seen, 3, seen(500, "app2", "UP", "DOWN", false)) }},
		"nothing was broken":                 {"all apps serve", func(h *History) { dropStep(h, ActBreak) }},
		"the break hurt nobody":              {"users meet the failure", func(h *History) { h.Seen[3].Failed = 0 }},
		"the failing app is never taken out": {"the failing app is taken out", func(h *History) { drop(h, outOf(broken)) }},
		"it was out before it failed": {"the failing app is taken out", func(h *History) {
			h.Seen[3].At = at(900)
			drop(h, func(s Sighting) bool { return s.State == "DOWN 1/2" })
		}},
		"it is taken out 1 ms too late":        {"it is taken out in time", func(h *History) { h.Seen[3].At = at(1551) }},
		"it is taken out a part of 1 ms late":  {"it is taken out in time", func(h *History) { h.Seen[3].At = at(1550).Add(time.Microsecond) }},
		"its sidecar never says fail":          {"it is taken out in time", func(h *History) { h.Words = h.Words[:1] }},
		"it is out before its sidecar says so": {"it is taken out in time", func(h *History) { h.Words[1].At = at(1400) }},
		"only another sidecar says fail":       {"it is taken out in time", func(h *History) { h.Words[1].Server = "app3" }},
		"one request is sent to it while out":  {"nothing is sent to it while it is out", func(h *History) { h.Seen[5].Before.Picked = 121 }},
		"it does not come back":                {"nothing is sent to it while it is out", func(h *History) { drop(h, func(s Sighting) bool { return s.At.Equal(at(3550)) }) }},
		"it is not returned":                   {"it returns by HAProxy's own rise", func(h *History) { drop(h, func(s Sighting) bool { return s.At.Equal(at(3550)) }) }},
		"it is set up by command":              {"it returns by HAProxy's own rise", func(h *History) { drop(h, func(s Sighting) bool { return s.State == "DOWN 1/2" }) }},
		"it rises only after it serves":        {"it returns by HAProxy's own rise", func(h *History) { h.Seen[4].At = at(3600) }},
		"it returns before it heals":           {"it returns by HAProxy's own rise", func(h *History) { h.Steps[1].At = at(3800) }},
		"the deploy drains nothing":            {"the app to deploy is drained first", func(h *History) { drop(h, outOf(deployed)) }},
		"it is drained after the deploy":       {"the app to deploy is drained first", func(h *History) { h.Seen[6].At = at(5010) }},
		"it is stopped before it is drained":   {"the app to deploy is drained first", func(h *History) { h.Rest.At = at(4505) }},
		"nobody looked before the stop":        {"the app to deploy is drained first", func(h *History) { h.Rest = Sample{} }},
		"a session is still on it":             {"the app to deploy is drained first", func(h *History) { h.Rest.Sessions = 1 }},
		"a request is queued for it":           {"the app to deploy is drained first", func(h *History) { h.Rest.Queued = 1 }},
		"it is in service when it is stopped":  {"the app to deploy is drained first", func(h *History) { h.Rest.Routing = true }},
		"the new release gets nothing": {"its new release serves", func(h *History) {
			recount(h, Deploy, counted(300, 0, 0, nil))
			recount(h, After, counted(200, 0, 0, nil))
		}},
		"it is not put back":                  {"its new release serves", func(h *History) { h.Seen = h.Seen[:7] }},
		"one request is lost in the deploy":   {"no request is lost during the deploy", func(h *History) { recount(h, Deploy, counted(300, 0, 1, nil)) }},
		"one error is met in the deploy":      {"no request is lost during the deploy", func(h *History) { recount(h, Deploy, counted(300, 1, 0, nil)) }},
		"nobody came during the deploy":       {"no request is lost during the deploy", func(h *History) { recount(h, Deploy, Count{}) }},
		"an answer was counted by nobody":     {"no request is lost during the deploy", func(h *History) { c := h.Counts[Deploy]; c.OK--; recount(h, Deploy, c) }},
		"users meet an error after removal":   {"users meet errors in the break alone", func(h *History) { recount(h, Out, counted(300, 1, 0, nil)) }},
		"a request is lost while all is calm": {"users meet errors in the break alone", func(h *History) { recount(h, Calm, counted(200, 0, 1, nil)) }},
		"a reload of nginx loses a request":   {"users meet errors in the break alone", func(h *History) { recount(h, NginxDrain, counted(30, 0, 1, nil)) }},
		"nobody came at all":                  {"users meet errors in the break alone", func(h *History) { h.Counts = nil }},
		"nginx sends to the drained server":   {"nginx drains by an edit", func(h *History) { recount(h, NginxOut, counted(50, 0, 0, map[string]int{"app3 v1": 1})) }},
		"nginx never sends to it again":       {"nginx drains by an edit", func(h *History) { recount(h, NginxReady, counted(50, 0, 0, map[string]int{"app1 v1": 50})) }},
		"nobody came through nginx":           {"nginx drains by an edit", func(h *History) { delete(h.Counts, NginxOut) }},
	}
	unbroken := map[string]bool{}
	for _, p := range promises {
		unbroken[p.name] = true
	}
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			h := asPromised()
			story.spoil(h)
			i := slices.IndexFunc(promises, func(r rule) bool { return r.name == story.promise })
			if i < 0 {
				t.Fatalf("there is no promise %q", story.promise)
			}
			got := Judge(h)
			if got[i].Kept {
				t.Errorf("%q is kept: %s", got[i].Name, got[i].Detail)
			}
			if got[i].Detail == "" || strings.Contains(got[i].Detail, "\n") {
				t.Errorf("the detail is %q, want one line", got[i].Detail)
			}
			if r := newReport(h); r.Kept {
				t.Error("the report says that all was kept")
			}
		})
		delete(unbroken, story.promise)
	}
	for name := range unbroken {
		t.Errorf("no story breaks %q", name)
	}
}

func TestTheLimitItselfIsInTime(t *testing.T) {
	h := asPromised()
	h.Seen[3].At = h.Words[1].At.Add(RemovalLimit)
	if kept, detail := takenOutInTime(h); !kept || !strings.HasPrefix(detail, "250 ms ") {
		t.Errorf("kept %v: %s", kept, detail)
	}
	h.Seen[3].At = h.Seen[3].At.Add(1)
	if kept, detail := takenOutInTime(h); kept || !strings.HasPrefix(detail, "251 ms ") {
		t.Errorf("kept %v: %s", kept, detail)
	}
}

func TestAnEmptyHistoryKeepsNothing(t *testing.T) {
	for _, p := range Judge(&History{}) {
		if p.Kept && p.Name != "nginx drains by an edit" {
			t.Errorf("%s: %s", p.Name, p.Detail)
		}
	}
	if f := figures(&History{}); f != (Figures{Limit: 250}) {
		t.Errorf("figures of nothing: %+v", f)
	}
}

func TestFiguresComeFromTheHistory(t *testing.T) {
	want := Figures{Detect: 300, Remove: 10, Limit: 250, Return: 1050, Drain: 200, Deploy: 520}
	if got := figures(asPromised()); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
