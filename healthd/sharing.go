package healthd

import "time"

// Word is what one sibling last said about a dependency that it shares with this instance. The zero value is silence.
type Word struct {
	Status   Status    // Pass and Warn: it reaches it
	Measured time.Time // by our clock: its probe began no earlier
	Heard    time.Time // when the answer came
}

// minAgreeing is how many siblings must see a dependency pass before it is this host that is to blame: one alone may be wrong.
const minAgreeing = 2

// Sharing is what is held about one shared check while it fails: whether that counts, for the siblings see the same dependency pass and it is
// this host, or is suspect, for it may be the dependency itself. The zero value is suspect.
//
// It counts once at least half of the siblings, and two, have reported the dependency as passing for one whole interval without a gap, each by
// a probe that began after our first failure, with answers no older than two intervals; and once our own probe has failed again after that. So
// whoever notices an outage of all first does not leave alone, nor does whoever notices its end last. It ends at once where they report so no
// longer, for silence is unknown, and what is unknown takes nobody out; and once a probe of our own passes. A status that is held is
// none of these: only what rise and fall say of our own probes counts.
//
// That holds of outages that come and go too, as long as the dependency works for three intervals in between. One that is up and down from probe to
// probe may look to one host as if it alone were cut off.
type Sharing struct {
	Agreed time.Time // since when enough siblings see it pass, without a gap
	Counts bool      // it is this host
	Trust  time.Time // until then Counts rests on what was known before a restart
}

// Resume gives what a run begins with: what counted before it counts until the siblings can have been asked.
func (s Sharing) Resume(counted bool, interval time.Duration, now time.Time) Sharing {
	if !counted {
		return Sharing{}
	}
	return Sharing{Counts: true, Trust: now.Add(2 * interval)}
}

// Step looks again at now: after an outcome, after an answer, and as time passes. There is one word for each sibling there is.
func (s Sharing) Step(v Verdict, siblings []Word, interval time.Duration, now time.Time) Sharing {
	last := v.Last.Class.Status()
	if s.Counts && v.raw() == Fail && last != Pass && last != Warn {
		if enough(siblings, time.Time{}, interval, now) {
			return Sharing{Agreed: s.Agreed, Counts: true}
		}
		if pending(s.Trust, now, 2*interval) {
			return s
		}
		return Sharing{}
	}
	if v.Failing.IsZero() || !enough(siblings, v.Failing, interval, now) {
		return Sharing{}
	}
	if s.Agreed.IsZero() || s.Agreed.Before(v.Failing) {
		s.Agreed = now
	}
	counts := v.raw() == Fail && now.Sub(s.Agreed) >= interval && last == Fail && v.Last.At.After(s.Agreed)
	return Sharing{Agreed: s.Agreed, Counts: counts}
}

// enough reports whether at least half of the siblings, and minAgreeing, saw it pass by a probe that began after a moment.
func enough(siblings []Word, after time.Time, interval time.Duration, now time.Time) bool {
	passing := 0
	for _, w := range siblings {
		age := now.Sub(w.Heard)
		if (w.Status == Pass || w.Status == Warn) && w.Measured.After(after) && age >= 0 && age <= 2*interval {
			passing++
		}
	}
	return passing >= minAgreeing && 2*passing >= len(siblings)
}
