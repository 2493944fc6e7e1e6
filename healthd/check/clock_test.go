package check

import (
	"encoding/binary"
	"math"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/lbmedic/lbmedic/healthd"
)

// timeServer answers each request with what answer makes of a right one, whose clock is ahead by as much; nil says nothing.
func timeServer(t *testing.T, ahead time.Duration, answer func(right []byte) [][]byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 1024)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			right := make([]byte, sntpSize)
			right[0], right[1] = 4<<3|4, 2
			if n >= sntpSize {
				copy(right[24:], buf[40:48])
			}
			now := ntpTime(time.Now().Add(ahead))
			binary.BigEndian.PutUint64(right[32:], now)
			binary.BigEndian.PutUint64(right[40:], now)
			for _, packet := range answer(right) {
				if _, err := conn.WriteTo(packet, from); err != nil {
					return
				}
			}
		}
	}()
	return conn.LocalAddr().String()
}

func TestTheClockIsHeldAgainstATimeServer(t *testing.T) {
	just := func(right []byte) [][]byte { return [][]byte{right} }
	changed := func(at int, b byte) func([]byte) [][]byte {
		return func(right []byte) [][]byte { right[at] = b; return [][]byte{right} }
	}
	for name, c := range map[string]struct {
		server string
		o      options
		class  healthd.Class
		detail string
	}{
		"right":             {timeServer(t, 0, just), nil, healthd.OK, "the clock made no step; the clock is "},
		"a second behind":   {timeServer(t, time.Second, just), nil, healthd.Degraded, " behind 127.0.0.1:"},
		"a minute ahead":    {timeServer(t, -time.Minute, just), nil, healthd.WrongAnswer, " ahead of 127.0.0.1:"},
		"six decades":       {timeServer(t, 60*365*24*time.Hour, just), nil, healthd.WrongAnswer, " behind 127.0.0.1:"},
		"as far as it may":  {timeServer(t, time.Second, just), options{"offset_warn": {"30s"}, "offset_fail": {"1m"}}, healthd.OK, "behind"},
		"a kiss of death":   {timeServer(t, 0, func(r []byte) [][]byte { r[1] = 0; copy(r[12:], "RATE"); return [][]byte{r} }), nil, healthd.OwnFault, "it will not tell: RATE"},
		"does not know":     {timeServer(t, 0, changed(0, 3<<6|4<<3|4)), nil, healthd.OwnFault, "it does not know the time itself"},
		"a client":          {timeServer(t, 0, changed(0, 4<<3|3)), nil, healthd.OwnFault, "its answer is of mode 3"},
		"too short":         {timeServer(t, 0, func(r []byte) [][]byte { return [][]byte{r[:47]} }), nil, healthd.OwnFault, "its answer has 47 bytes, not 48"},
		"forged, then true": {timeServer(t, time.Minute, func(r []byte) [][]byte { return [][]byte{forged(r), forged(r), r} }), nil, healthd.WrongAnswer, "behind"},
		"forged":            {timeServer(t, time.Minute, func(r []byte) [][]byte { return [][]byte{forged(r)} }), nil, healthd.OwnFault, "timeout"},
		"silent":            {timeServer(t, 0, func([]byte) [][]byte { return nil }), nil, healthd.OwnFault, "ask 127.0.0.1:"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options{"server": {c.server}, "unsynchronised": {"ignore"}}
			for key, values := range c.o {
				o[key] = values
			}
			timeout := 10 * time.Second
			if c.class == healthd.OwnFault {
				timeout = 500 * time.Millisecond
			}
			sees(t, probe(t, "clock", "system", o, timeout), c.class, c.detail)
		})
	}
	if _, err := New("clock", []string{"system"}, options{"server": {"169.254.169.123:123"}}); err == nil || !strings.Contains(err.Error(), "no check may reach") {
		t.Errorf("got %v", err)
	}
}

func forged(right []byte) []byte {
	p := append([]byte(nil), right...)
	p[24]++
	return p
}

// A clock is set in a moment, which is told for a while; how long the host was suspended does not matter.
func TestAStepOfTheClockIsToldForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newClockRule(limits{0.5, 3600}, limits{math.NaN(), math.NaN()}, time.Minute)
		c := clockReading{wall: 50 * 365 * 24 * time.Hour, boot: time.Hour}
		after := func(wall, boot time.Duration) healthd.Outcome {
			c.wall += wall
			c.boot += boot
			return concluded(time.Now(), r.judgeStep(c, time.Now())...)
		}
		sees(t, after(0, 0), healthd.OK, "the clock made no step")
		sees(t, after(2*time.Second, 2*time.Second), healthd.OK, "no step")
		sees(t, after(8*time.Hour, 8*time.Hour), healthd.OK, "no step") // suspended
		sees(t, after(2*time.Second+400*time.Millisecond, 2*time.Second), healthd.OK, "no step")
		sees(t, after(3*time.Second, 2*time.Second), healthd.Degraded, "the clock was set forward by 1s, warns above 500ms, fails above 1h0m0s")
		time.Sleep(50 * time.Second)
		sees(t, after(50*time.Second, 50*time.Second), healthd.Degraded, "forward by 1s")
		sees(t, after(-24*time.Hour, 2*time.Second), healthd.WrongAnswer, "the clock was set back by 24h0m2s, fails above 1h0m0s; the clock was set forward by 1s")
		time.Sleep(20 * time.Second)
		sees(t, after(20*time.Second, 20*time.Second), healthd.WrongAnswer, "set back")
		time.Sleep(time.Minute)
		sees(t, after(time.Minute, time.Minute), healthd.OK, "no step")
	})
}

// The real clocks of this host, read twice, have not been set meanwhile, and the kernel says whether they are kept in step.
func TestTheRealClocksAreRead(t *testing.T) {
	probe := prober(t, "clock", []string{"system"}, options{"step_warn": {"10s"}, "unsynchronised": {"fail"}})
	first, second := probe(), probe()
	for _, o := range []healthd.Outcome{first, second} {
		if o.Class != healthd.OK && !strings.Contains(o.Detail, "nobody keeps the clock in step") {
			t.Errorf("%s: %s", o.Class, o.Detail)
		}
	}
}

// Whatever the two clocks say, the offset is what they differ by, over the wrap of 2036 too.
func TestTheOffsetIsTheDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ours := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "ours"), rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds"))
		ahead := time.Duration(rapid.Int64Range(-1<<30, 1<<30).Draw(t, "ahead")) * time.Second
		took := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "took"))
		there := ntpTime(ours.Add(ahead + took/2))
		got := sntpReply{received: there, replied: there}.offset(ours, took)
		if diff := (got - ahead).Abs(); diff > 10*time.Nanosecond {
			t.Fatalf("got %s, want %s", got, ahead)
		}
	})
}

func FuzzParseSNTP(f *testing.F) {
	right := make([]byte, sntpSize)
	right[0], right[1], right[39], right[47] = 4<<3|4, 2, 1, 1
	f.Add(right)
	f.Add(right[:20])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := parseSNTP(raw)
		if err == nil && (r.received == 0 || r.replied == 0 || len(raw) < sntpSize) {
			t.Errorf("parseSNTP(%x) = %v", raw, r)
		}
		r.offset(time.Unix(0, 0), time.Second)
	})
}

func TestAnOffsetNeedsAServer(t *testing.T) {
	for _, key := range []string{"offset_warn", "offset_fail"} {
		if _, err := New("clock", []string{"system"}, options{key: {"1s"}}); err == nil || !strings.Contains(err.Error(), key+": needs server") {
			t.Errorf("%s: %v", key, err)
		}
		if _, err := New("clock", []string{"system"}, options{key: {"1s"}, "server": {"127.0.0.1:123"}}); err != nil {
			t.Errorf("%s with a server: %v", key, err)
		}
	}
}
