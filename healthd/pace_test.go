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

var pacing = LatencyRule{Warn: 250 * time.Millisecond, Fail: time.Second}

// asked makes the outcome that a letter of the stories stands for.
func asked(letter byte, at time.Time) Outcome {
	switch letter {
	case 's':
		return NewOutcome(at, 300*time.Millisecond, OK, "")
	case 'S':
		return NewOutcome(at, 3*time.Second, OK, "")
	}
	return NewOutcome(at, time.Millisecond, letters[letter], "")
}

// repeated writes a*3b as aaab.
func repeated(text string) string {
	out := ""
	for text != "" {
		letter, n := text[:1], 1
		text = text[1:]
		if rest, ok := strings.CutPrefix(text, "*"); ok {
			digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
			n, _ = strconv.Atoi(rest[:digits])
			text = rest[digits:]
		}
		out += strings.Repeat(letter, n)
	}
	return out
}

func TestWeightStories(t *testing.T) {
	f, err := os.Open("testdata/weights.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
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
		outcomes, want := repeated(w[2]), ""
		for _, word := range w[3:] {
			want += repeated(word)
		}
		var c Check
		got := ""
		for i := range outcomes {
			o := pacing.Judge(asked(outcomes[i], t0.Add(time.Duration(i)*time.Second)), Latency{})
			c.Verdict = c.Verdict.Step(o, Rule{Rise: rise, Fall: fall, Latency: pacing})
			s := Service{Checks: []Check{c}}
			got += strconv.Itoa(s.weight() / stepPercent)
		}
		if got != want {
			t.Errorf("%s\n  outcomes %s\n  got      %s\n  want     %s", name, outcomes, got, want)
		}
	}
	if told < 10 {
		t.Errorf("only %d stories were told", told)
	}
}

func TestWeightOfAService(t *testing.T) {
	slow := func(i Impact, steps uint8, s Status) Check {
		return Check{Impact: i, Verdict: Verdict{Status: s, Pace: Pace{Steps: steps}}}
	}
	for name, c := range map[string]struct {
		floor  int
		checks []Check
		want   int
	}{
		"no checks":                        {0, nil, 100},
		"nothing to say":                   {0, []Check{slow(Required, 0, Warn)}, 100},
		"the slowest counts":               {0, []Check{slow(Required, 1, Pass), slow(Degrade, 2, Warn)}, 50},
		"information does not":             {0, []Check{slow(Inform, 3, Fail)}, 100},
		"a failing dependency is one step": {0, []Check{slow(Required, 0, Pass), slow(Degrade, 0, Fail)}, 75},
		"a failing required check is none": {0, []Check{slow(Required, 0, Fail)}, 100},
		"slowness and failures add up":     {0, []Check{slow(Required, 1, Pass), slow(Degrade, 0, Fail)}, 50},
		"to the default floor":             {0, []Check{slow(Required, 3, Pass), slow(Degrade, 0, Fail)}, 25},
		"to a floor of ten":                {10, []Check{slow(Required, 3, Pass), slow(Degrade, 0, Fail)}, 10},
		"to a floor of sixty":              {60, []Check{slow(Required, 3, Pass)}, 60},
		"never to zero":                    {-5, []Check{slow(Required, 3, Pass), slow(Degrade, 0, Fail), slow(Degrade, 0, Fail)}, 25},
		"a file may say any":               {101, []Check{slow(Required, 255, Pass)}, 25},
	} {
		t.Run(name, func(t *testing.T) {
			s := Service{Floor: c.floor, Checks: c.checks}
			if got := s.weight(); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

// Whatever noise there is around the thresholds, in any window the weight rises no oftener than Pace promises, and falls no oftener than
// that and the steps there are.
func TestNoiseAroundAThresholdMovesTheWeightSeldom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{Rise: rapid.IntRange(1, 5).Draw(t, "rise"), Fall: rapid.IntRange(1, 5).Draw(t, "fall"), Latency: pacing}
		slowOnesIn := rapid.IntRange(1, 40).Draw(t, "one slow in")
		window := rapid.IntRange(1, 400).Draw(t, "window")
		period := recovery * max(rule.Rise, rule.Fall)
		var v Verdict
		var rises, falls []int // at which outcomes
		for i := range 800 {
			letter := byte('.')
			if rapid.IntRange(1, slowOnesIn).Draw(t, "noise") == 1 {
				letter = rapid.SampledFrom([]byte("sssSx?")).Draw(t, "slow")
			}
			before := v.Pace.Steps
			v = v.Step(pacing.Judge(asked(letter, t0.Add(time.Duration(i)*time.Second)), Latency{}), rule)
			switch after := v.Pace.Steps; {
			case after > maxSteps:
				t.Fatalf("%d steps down", after)
			case after == before-1:
				rises = append(rises, i)
			case after > before:
				falls = append(falls, i)
			case after != before:
				t.Fatalf("rose from %d to %d steps down at once", before, after)
			}
			if within(rises, i, window) > (window+period-1)/period {
				t.Fatalf("%d rises within %d outcomes, one takes %d", within(rises, i, window), window, period)
			}
			if within(falls, i, window) > maxSteps+within(rises, i, window) {
				t.Fatalf("%d falls and %d rises within %d outcomes", within(falls, i, window), within(rises, i, window), window)
			}
		}
	})
}

func within(events []int, now, window int) (n int) {
	for _, at := range events {
		if at > now-window {
			n++
		}
	}
	return n
}

// Without a rule nothing is slow, also after a rule was taken away.
func TestNoRuleNoSlowness(t *testing.T) {
	v := Verdict{Pace: Pace{Steps: 3}}
	if v = v.Step(NewOutcome(t0, time.Hour, OK, ""), Rule{}); v.Pace != (Pace{}) {
		t.Errorf("slow by %+v", v.Pace)
	}
}
