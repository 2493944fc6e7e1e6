package control

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/lbmedic/lbmedic/remediate"
)

func look(servers ...remediate.Server) Observation {
	return Observation{Backends: []Backend{{Backend: remediate.Backend{Name: "web", Servers: servers}}}}
}

func TestWhatBecameOfAServerIsToldOnceAndNotOurOwnSteps(t *testing.T) {
	book := openBook(t, filepath.Join(t.TempDir(), "state"))
	defer book.Close()
	c := &Controller{settings: Settings{Name: "edge"}, book: book}
	ours := c.target("web", "ours")
	seq, err := book.Append(remediate.KindIntent, remediate.IntentRecord{Action: remediate.Action{Verb: remediate.ForceDown, Target: ours}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := book.Append(remediate.KindOutcome, remediate.OutcomeRecord{Intent: seq, Target: ours, Verb: remediate.ForceDown, Result: remediate.Done}); err != nil {
		t.Fatal(err)
	}
	up := remediate.Server{Name: "a", Oper: remediate.OperUp, Weight: 1, Checked: true}
	down, maint, own, new := up, up, up, up
	down.Oper = remediate.OperDown
	maint.Admin = remediate.ForcedMaint
	own.Name, new.Name = "ours", "new"
	ownDown := own
	ownDown.Oper, ownDown.CheckOff = remediate.OperDown, true
	for name, tt := range map[string]struct {
		before, after Observation
		want          string
	}{
		"nothing changed":         {look(up), look(up), "[]"},
		"its check fails":         {look(up), look(down), "[{edge edge/web/a server up → down: balancer's check}]"},
		"it is back":              {look(down), look(up), "[{edge edge/web/a server down → up}]"},
		"a hand at the socket":    {look(up), look(maint), "[{edge edge/web/a server up → maint: somebody}]"},
		"a step of ours":          {look(own), look(ownDown), "[]"},
		"a server that is new":    {look(up), look(up, new), "[]"},
		"the first look":          {Observation{}, look(down), "[]"},
		"ours came back by check": {look(ownDown), look(own), "[{edge edge/web/ours server down → up: automation}]"},
	} {
		if got := fmt.Sprint(c.changesOf(tt.before, tt.after)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestManyChangesAreCountedAndNotListed(t *testing.T) {
	book := openBook(t, filepath.Join(t.TempDir(), "state"))
	defer book.Close()
	c := &Controller{settings: Settings{Name: "edge"}, book: book}
	var before, after []remediate.Server
	for i := range 1000 {
		s := remediate.Server{Name: fmt.Sprint("s", i), Oper: remediate.OperUp, Weight: 1, Checked: true}
		before = append(before, s)
		s.Oper = remediate.OperDown
		after = append(after, s)
	}
	news := c.changesOf(look(before...), look(after...))
	if len(news) != maxChanges+1 || news[maxChanges].Detail != "and 980 more; `lbmedic status` lists them" {
		t.Errorf("%d lines, the last %v", len(news), news[len(news)-1])
	}
}
