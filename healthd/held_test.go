package healthd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The stories are lines of "rise fall settings outcomes verdicts".
func TestHeldVerdictStories(t *testing.T) {
	f, err := os.Open("testdata/held.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	short := map[Status]string{Unknown: "u", Pass: "P", Warn: "W", Fail: "F"}
	told := 0
	for name, lines := "", bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			name = strings.TrimSpace(strings.TrimPrefix(line, "#"))
			continue
		}
		told++
		var rule Rule
		var set, outcomes, want string
		if _, err := fmt.Sscan(line, &rule.Rise, &rule.Fall, &set, &outcomes, &want); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if err := setRule(&rule, set); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		v := Verdict{}.Begin(rule, t0)
		got := ""
		for i := range outcomes {
			v = v.Step(NewOutcome(t0.Add(time.Duration(i)*time.Second), time.Millisecond, letters[outcomes[i]], ""), rule)
			letter := short[v.Status]
			if v.Flap.Damped {
				letter = map[Status]string{Warn: "d", Fail: "D"}[v.Status]
			}
			got += letter
		}
		if got != want {
			t.Errorf("%s\n  outcomes %s\n  got      %s\n  want     %s", name, outcomes, got, want)
		}
	}
	if told < 20 {
		t.Errorf("only %d stories were told", told)
	}
}

func setRule(rule *Rule, set string) (err error) {
	key, value, _ := strings.Cut(set, "=")
	switch key {
	case "hold":
		rule.HoldDown, err = time.ParseDuration(value)
	case "grace":
		rule.Grace, err = time.ParseDuration(value)
	case "damp":
		var half, most string
		d := &rule.Damping
		if _, err := fmt.Sscan(strings.ReplaceAll(value, "/", " "), &d.Suppress, &d.Reuse, &half, &most); err != nil {
			return err
		}
		if d.HalfLife, err = time.ParseDuration(half); err != nil {
			return err
		}
		d.MaxSuppress, err = time.ParseDuration(most)
	}
	return err
}

func seconds(t *rapid.T, label string, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(t, label)) * time.Second
}

func rules() *rapid.Generator[Rule] {
	return rapid.Custom(func(t *rapid.T) Rule {
		return Rule{
			Rise: rapid.IntRange(1, 4).Draw(t, "rise"), Fall: rapid.IntRange(1, 4).Draw(t, "fall"),
			HoldDown: seconds(t, "hold", 0, 20), Grace: seconds(t, "grace", 0, 20), Latency: pacing,
			Damping: Damping{Suppress: float64(rapid.IntRange(0, 40).Draw(t, "suppress")) / 10, Reuse: float64(rapid.IntRange(0, 20).Draw(t, "reuse")) / 10,
				HalfLife: seconds(t, "half", 0, 60), MaxSuppress: seconds(t, "most", 0, 200)},
		}
	})
}

// What holds of every verdict, whatever is set and whatever comes.
func TestHeldVerdictKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := rules().Draw(t, "rule")
		plain := Rule{Rise: rule.Rise, Fall: rule.Fall, Latency: rule.Latency}
		v, raw := Verdict{}.Begin(rule, t0), Verdict{}
		at, counting := t0, rule.Grace == 0
		var worsened time.Time
		var lasted time.Duration
		for range rapid.IntRange(0, 120).Draw(t, "outcomes") {
			at = at.Add(lasted + seconds(t, "pause", 0, 4))
			lasted = seconds(t, "took", 0, 2)
			o := pacing.Judge(NewOutcome(at, lasted, classes().Draw(t, "class"), ""), Latency{})
			known, before := at.Add(o.Took), v
			v = v.Step(o, rule)
			if again := before.Step(o, rule); !reflect.DeepEqual(v, again) {
				t.Fatalf("two steps from one verdict: %+v and %+v", v, again)
			}
			text, err := json.Marshal(v)
			var read Verdict
			if err == nil {
				err = json.Unmarshal(text, &read)
			}
			if err != nil || !reflect.DeepEqual(read, v) {
				t.Fatalf("%s was read as %+v, %v, want %+v", text, read, err, v)
			}
			if o.Class == OwnFault {
				if v.Last = before.Last; !reflect.DeepEqual(v, before) {
					t.Fatalf("an own fault changed %+v to %+v", before, v)
				}
				continue
			}
			counting = counting || o.Class.Status() != Fail || known.Sub(t0) >= rule.Grace
			if counting {
				raw = raw.Step(o, plain)
			} else if v.Status != before.Status || v.Streak != before.Streak {
				t.Fatalf("a failure in the grace counted: %+v to %+v", before, v)
			}
			if v.Raw != raw.Status || v.Streak != raw.Streak {
				t.Fatalf("raw is %s, rise and fall alone say %s", v.Raw, raw.Status)
			}
			if n, was := v.Streak, before.Streak; counting && (n.Passes > n.Good || n.Fails > n.Poor || n.Good > 0 && n.Fails > 0 || n.Poor > 0 && n.Passes > 0 ||
				n.Good+n.Poor < 1 || n.Passes > was.Passes+1 || n.Good > was.Good+1 || n.Poor > was.Poor+1 || n.Fails > was.Fails+1) {
				t.Fatalf("counts %+v after %+v", n, was)
			}
			if v.Status != Unknown && v.Status < v.Raw {
				t.Fatalf("%s though rise and fall say %s", v.Status, v.Raw)
			}
			if v.Status < before.Status && o.Class.Status() > v.Status {
				t.Fatalf("improved from %s to %s on an outcome that was %s", before.Status, v.Status, o.Class)
			}
			if v.Status < before.Status && !worsened.IsZero() && known.Sub(worsened) < rule.HoldDown {
				t.Fatalf("improved to %s %s after it had worsened", v.Status, known.Sub(worsened))
			}
			if v.Status > before.Status && before.Status != Unknown {
				worsened = known
			}
			if until, damped, waits := v.Waits(); waits != (v.Raw < v.Status) || waits && !until.After(known) && o.Class.Status() <= v.Raw || damped && !v.Flap.Damped {
				t.Fatalf("waits %v until %s at %s: %+v", waits, until, known, v)
			}
			if (v.Failing.IsZero()) != (v.Streak.Fails == 0) || v.Streak.Fails > 1 && v.Failing != before.Failing {
				t.Fatalf("failing since %s after %+v", v.Failing, v.Streak)
			}
		}
	})
}

// A damped verdict improves no oftener than Damping promises, in any window.
func TestDampedVerdictIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Damping{Suppress: float64(rapid.IntRange(1, 50).Draw(t, "suppress")) / 10, HalfLife: seconds(t, "half", 5, 60), MaxSuppress: seconds(t, "most", 10, 300)}
		rule := Rule{Rise: 1, Fall: 1, Damping: d}
		window := rapid.IntRange(10, 600).Draw(t, "window")
		w := float64(window)
		most := 2 + (d.Suppress+1)*(1+w*math.Ln2/d.HalfLife.Seconds()) + w/d.MaxSuppress.Seconds()
		spell := rapid.IntRange(1, 30).Draw(t, "spell")
		var v Verdict
		var improved []int
		var damped time.Time
		fails, left := false, 0
		for i := range 900 {
			if left--; left <= 0 {
				fails, left = !fails, rapid.IntRange(1, spell).Draw(t, "for")
			}
			class := OK
			if fails {
				class = Refused
			}
			at, before := t0.Add(time.Duration(i)*time.Second), v
			v = v.Step(NewOutcome(at, 0, class, ""), rule)
			if v.Status == Pass && before.Status == Fail {
				improved = append(improved, i)
			}
			if n := within(improved, i, window); float64(n) > most {
				t.Fatalf("improved %d times within %d s, want %.1f at most", n, window, most)
			}
			switch {
			case v.Flap.Damped && v.Flap.Until != before.Flap.Until:
				damped = at
				if v.Flap.Penalty <= d.Suppress || v.Flap.Until != at.Add(d.MaxSuppress) {
					t.Fatalf("damped by %+v", v.Flap)
				}
			case v.Flap.Damped && at.Sub(damped) >= d.MaxSuppress:
				t.Fatalf("damped for %s", at.Sub(damped))
			}
		}
	})
}

// A restart ends every count, and forgets neither a step of weight nor a hold.
func TestRestartInterruptsWhatIsConsecutive(t *testing.T) {
	v := Verdict{Status: Fail, Raw: Pass, Held: t0, Failing: t0, Streak: Streak{Fails: 2}, Pace: Pace{Steps: 2, Good: 7}, Flap: Flap{Penalty: 2, Damped: true}}
	if got := v.resumed(); got.Raw != Fail || got.Streak != (Streak{}) || got.Pace != (Pace{Steps: 2}) || !got.Failing.IsZero() || got.Held != t0 || !got.Flap.Damped {
		t.Errorf("got %+v", got)
	}
	if got := (Verdict{Pace: Pace{Steps: 200}}).resumed(); got.Pace.Steps != maxSteps {
		t.Errorf("got %+v", got.Pace)
	}
}

// What passed before a restart may be dead since: it has no grace in which it would pass whatever is measured.
func TestNoGraceForWhatPassedBefore(t *testing.T) {
	rule := Rule{Grace: time.Minute}
	for status, want := range map[Status]Status{Unknown: Unknown, Pass: Fail, Warn: Fail, Fail: Fail} {
		v := Verdict{Status: status}.resumed().Begin(rule, t0)
		for i := range 3 {
			v = v.Step(NewOutcome(t0.Add(time.Duration(i)*time.Second), 0, Refused, ""), rule)
		}
		if v.Status != want || (v.Grace.IsZero()) != (status == Pass || status == Warn) {
			t.Errorf("from %s to %s, grace until %s", status, v.Status, v.Grace)
		}
	}
}

func TestAgeOfAVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		measured time.Time
		want     time.Duration
	}{"a while ago": {t0.Add(-time.Minute), time.Minute}, "never": {time.Time{}, 0}, "in the future": {t0.Add(time.Minute), 0}} {
		if got := (Verdict{Measured: c.measured}).Age(t0); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// A clock that was set back, a rule that changed, or a file that lies hold nobody for ever.
func TestHoldsFromTheFutureAreNone(t *testing.T) {
	rule := Rule{Rise: 1, Fall: 1, HoldDown: time.Minute, Grace: time.Minute, Damping: Damping{Suppress: 1, HalfLife: time.Minute, MaxSuppress: time.Minute}}
	year := t0.AddDate(1, 0, 0)
	for name, v := range map[string]Verdict{
		"hold-down": {Status: Fail, Raw: Fail, Held: year},
		"damping":   {Status: Fail, Raw: Fail, Flap: Flap{Penalty: math.MaxFloat64, At: year, Damped: true, Until: year}},
	} {
		if v = v.Step(NewOutcome(t0, 0, OK, ""), rule); v.Status != Pass {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if v := (Verdict{Grace: year}).Step(NewOutcome(t0, 0, Refused, ""), rule); v.Status != Fail {
		t.Errorf("grace: %+v", v)
	}
	held := Verdict{Status: Fail, Raw: Pass, Held: t0.Add(time.Minute)}
	if v := held.Step(NewOutcome(t0, 0, OK, ""), Rule{}); v.Status != Pass {
		t.Errorf("without a hold-down: %+v", v)
	}
	if v := (Verdict{Status: Fail}).Step(NewOutcome(t0, 0, OK, ""), Rule{Rise: 1}); v.Status != Pass {
		t.Errorf("from before there were holds: %+v", v)
	}
}
