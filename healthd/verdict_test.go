package healthd

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

var letters = map[byte]Class{'.': OK, 'w': Degraded, 'x': WrongAnswer, 'r': Refused, 't': TimedOut, '?': OwnFault}

// The stories are lines of "rise fall outcomes verdicts": one letter each, an outcome above the verdict after it.
func TestVerdictStories(t *testing.T) {
	f, err := os.Open("testdata/verdicts.txt")
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
		w := strings.Fields(line)
		rise, _ := strconv.Atoi(w[0])
		fall, _ := strconv.Atoi(w[1])
		var v Verdict
		got := ""
		for i := range w[2] {
			v = v.Step(NewOutcome(t0.Add(time.Duration(i)*time.Second), time.Millisecond, letters[w[2][i]], ""), Rule{Rise: rise, Fall: fall})
			got += short[v.Status]
		}
		if got != w[3] {
			t.Errorf("%s\n  outcomes %s\n  got      %s\n  want     %s", name, w[2], got, w[3])
		}
	}
	if told < 10 {
		t.Errorf("only %d stories were told", told)
	}
}

func classes() *rapid.Generator[Class] {
	return rapid.SampledFrom([]Class{OK, OK, Degraded, WrongAnswer, Refused, TimedOut, OwnFault})
}

// A verdict worsens only after fall measured outcomes in a row that are worse, and improves only after rise that are better.
func TestVerdictChangesOnlyAfterRiseOrFall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{Rise: rapid.IntRange(1, 5).Draw(t, "rise"), Fall: rapid.IntRange(1, 5).Draw(t, "fall")}
		var v Verdict
		var measured []Status
		for i, class := range rapid.SliceOfN(classes(), 0, 60).Draw(t, "outcomes") {
			at := t0.Add(time.Duration(i) * time.Second)
			before := v
			v = v.Step(NewOutcome(at, time.Millisecond, class, "x"), rule)
			if class == OwnFault {
				if v.Status != before.Status || v.Streak != before.Streak || v.Measured != before.Measured || v.Last.Class != OwnFault {
					t.Fatalf("an own fault changed %+v to %+v", before, v)
				}
				continue
			}
			measured = append(measured, class.Status())
			if v.Status == before.Status {
				if v.Since != before.Since {
					t.Fatalf("since moved without a change of status")
				}
				if run := run(measured, func(s Status) bool { return s > v.Status }); v.Status != Unknown && run >= rule.Fall {
					t.Fatalf("still %s after %d worse outcomes", v.Status, run)
				}
				if run := run(measured, func(s Status) bool { return s < v.Status }); run >= rule.Rise {
					t.Fatalf("still %s after %d better outcomes", v.Status, run)
				}
				continue
			}
			worse := run(measured, func(s Status) bool { return s > before.Status && s >= v.Status })
			better := run(measured, func(s Status) bool { return s < before.Status && s <= v.Status })
			switch {
			case before.Status == Unknown && v.Status == Fail && worse < rule.Fall,
				before.Status != Unknown && v.Status > before.Status && worse < rule.Fall,
				v.Status < before.Status && better < rule.Rise:
				t.Fatalf("from %s to %s after %v with %+v", before.Status, v.Status, measured, rule)
			}
		}
	})
}

// run counts how many of the last statuses in a row match.
func run(all []Status, match func(Status) bool) (n int) {
	for i := len(all) - 1; i >= 0 && match(all[i]); i-- {
		n++
	}
	return n
}

func TestRuleHasDefaults(t *testing.T) {
	if got := (Rule{}).orDefault(); got != (Rule{Rise: 2, Fall: 3}) {
		t.Errorf("got %+v", got)
	}
}
