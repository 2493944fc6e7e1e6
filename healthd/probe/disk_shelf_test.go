package probe

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// A disk that hangs holds up whoever would be written down anew, for a moment, and nobody else.
func TestWhoHeardTheDrainDoesNotWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := NewBoard(Settings{Services: []Service{{Name: "web"}}, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Order("web", healthd.Admin{State: healthd.Drain}); err != nil {
			t.Fatal(err)
		}
		known, stranger := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
		if _, ok, err := b.Say("web", known, ""); !ok || err != nil {
			t.Fatalf("%v, %v", ok, err)
		}
		b.orders.pen <- struct{}{} // somebody writes, and does not come back
		start := time.Now()
		if word, ok, err := b.Say("web", known, ""); word != healthd.Drain || !ok || err != nil || time.Now() != start {
			t.Errorf("one that heard it: %s, %v, %v after %s", word, ok, err, time.Since(start))
		}
		if _, ok, err := b.Say("web", stranger, ""); ok || err == nil || time.Since(start) != patience {
			t.Errorf("a stranger: %v, %v after %s", ok, err, time.Since(start))
		}
		b.orders.leavePen()
		if word, ok, err := b.Say("web", stranger, ""); word != healthd.Drain || !ok || err != nil {
			t.Errorf("a stranger, once the disk is back: %s, %v, %v", word, ok, err)
		}
		if err := b.Order("web", healthd.Admin{}); err != nil {
			t.Fatal(err)
		}
		b.orders.pen <- struct{}{}
		start = time.Now()
		if word, ok, err := b.Say("web", known, ""); word != healthd.Ready || !ok || err != nil {
			t.Errorf("it is owed %s, %v, %v", word, ok, err)
		}
		if err := b.Heard("web", known, ""); err != nil || time.Now() != start {
			t.Errorf("it took ready: %v after %s", err, time.Since(start))
		}
		if left := b.orders.get().Services["web"].Owed["10.0.0.1"].Left; left != healthd.Returns-1 {
			t.Errorf("%d are left", left)
		}
	})
}

// What was lost with the state directory is mended by a person's ready, and by that alone.
func TestAReadyOfAPersonIsOfferedToWhoAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t)
		offers := func() bool {
			svc, _ := k.board.Latest().Service("web")
			return svc.Admin.Offers(time.Now())
		}
		if offers() {
			t.Error("offered at the start")
		}
		if _, err := k.keeper.End("web", "alice", false); err != nil { // nothing stands
			t.Fatal(err)
		}
		k.is(healthd.Ready, "alice")
		if !offers() {
			t.Error("a ready of a person is not offered")
		}
		time.Sleep(healthd.OfferedFor)
		if offers() {
			t.Error("offered for ever")
		}
		k.take("alice", healthd.Drain, time.Minute)
		time.Sleep(time.Minute)
		k.is(healthd.Ready, healthd.ByTime)
		if offers() {
			t.Error("offered at the end of a lease")
		}
		k.take("bob", healthd.Drain, 0)
		if _, err := k.keeper.End("web", "alice", false); err != nil || offers() {
			t.Errorf("offered while another's drain stands, or %v", err)
		}
	})
}
