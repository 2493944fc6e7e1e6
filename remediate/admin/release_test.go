package admin

import (
	"errors"
	"testing"

	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/control"
)

func TestReleaseUndoesOwnTakesAndNothingElse(t *testing.T) {
	s := newStage(t)
	edge0, inner1 := s.take("edge", "s0"), s.take("inner", "s1")
	if _, reason := s.order(Order{Target: "edge/web/s2", Want: remediate.Maint, Force: true}); reason != "" {
		t.Fatal(reason)
	}
	r, err := s.client.Release(t.Context(), Release{Targets: []string{"web/s0"}})
	if err != nil || len(r.Released) != 1 || r.Released[0] != edge0 || len(r.Problems) != 0 ||
		r.Did != "1 released; automation leaves it alone until its sidecar has passed once" {
		t.Fatalf("got %+v, %v", r, err)
	}
	if row := s.balancers["edge"].row("s0"); row.CheckOff || row.Oper != remediate.OperUp {
		t.Errorf("not put back: %+v", row)
	}
	if !s.balancers["inner"].row("s1").CheckOff {
		t.Error("the take on the other balancer was released too")
	}
	r, err = s.client.Release(t.Context(), Release{All: true})
	if err != nil || len(r.Released) != 1 || r.Released[0] != inner1 {
		t.Errorf("got %+v, %v", r, err)
	}
	if got := s.balancers["edge"].row("s2").Admin; got != remediate.ForcedMaint {
		t.Errorf("the operator's order was undone: %s", got)
	}
	r, err = s.client.Release(t.Context(), Release{All: true})
	if err != nil || r.Did != "automation has nothing out" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestReleaseRefusesWhatAutomationDidNotTake(t *testing.T) {
	s := newStage(t)
	s.take("edge", "s0")
	s.take("inner", "s0")
	for name, want := range map[string]struct {
		what   Release
		reason Reason
	}{
		"not taken":      {Release{Targets: []string{"edge/web/s1"}}, NotOurs},
		"no such server": {Release{Targets: []string{"web/s9"}}, UnknownServer},
		"nor there":      {Release{Targets: []string{"edge/web/s9"}}, UnknownServer},
		"nor balancer":   {Release{Targets: []string{"outer/web/s1"}}, UnknownBalancer},
		"twice, not out": {Release{Targets: []string{"web/s1"}}, NotOurs},
		"taken twice":    {Release{Targets: []string{"web/s0"}}, AmbiguousName},
		"no such":        {Release{Targets: []string{"outer"}}, UnknownBalancer},
		"no name":        {Release{}, BadRequest},
		"all and a name": {Release{All: true, Targets: []string{"edge"}}, BadRequest},
		"a pattern":      {Release{Targets: []string{"edge/*"}}, BadName},
	} {
		var p *Problem
		if r, err := s.client.Release(t.Context(), want.what); !errors.As(err, &p) || p.Reason != want.reason {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
}

func TestATakeOnABalancerThatIsGoneIsTold(t *testing.T) {
	s := newStage(t)
	s.take("edge", "s0")
	lost := s.take("inner", "s1")
	s.server.Replace(map[string]*control.Controller{"edge": s.server.controllers()["edge"]})
	r, err := s.client.Release(t.Context(), Release{All: true})
	if err != nil || len(r.Released) != 1 || len(r.Problems) != 1 {
		t.Fatalf("got %+v, %v", r, err)
	}
	if r.Problems[0] != lost.String()+" cannot be released: the configuration no longer names the balancer" {
		t.Errorf("got %q", r.Problems[0])
	}
}
