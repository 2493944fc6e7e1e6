package demo

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/lbconfig/haproxy/runtime"
)

func TestWhatHAProxySendsRequestsTo(t *testing.T) {
	states := map[string]struct {
		state runtime.ServerState
		want  bool
	}{
		"up":             {runtime.ServerState{Op: runtime.OpRunning, Weight: 1}, true},
		"in slowstart":   {runtime.ServerState{Op: runtime.OpStarting, Weight: 1}, true},
		"down":           {runtime.ServerState{Op: runtime.OpStopped, Weight: 1}, false},
		"for old only":   {runtime.ServerState{Op: runtime.OpStopping, Weight: 1}, false},
		"weight 0":       {runtime.ServerState{Op: runtime.OpRunning}, false},
		"drained":        {runtime.ServerState{Op: runtime.OpRunning, Weight: 1, Admin: runtime.ForcedDrain}, false},
		"in maintenance": {runtime.ServerState{Op: runtime.OpRunning, Weight: 1, Admin: runtime.ForcedMaint}, false},
		"disabled once":  {runtime.ServerState{Op: runtime.OpRunning, Weight: 1, Admin: runtime.ConfigMaint}, true},
	}
	for name, s := range states {
		if got := sendsTo(&s.state); got != s.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOnlyChangesAreSightings(t *testing.T) {
	var told []Sighting
	o := newObserver("/nonexistent", backend, func(s Sighting) { told = append(told, s) })
	look := func(ms int, state string, routing bool, picked int64) {
		all := map[string]Sample{}
		for _, name := range appNames {
			all[name] = Sample{At: at(ms), State: "UP", Routing: true}
		}
		all["app1"] = Sample{At: at(ms), State: state, Routing: routing, Picked: picked}
		o.take(all, nil)
	}
	look(0, "UP", true, 10)
	look(10, "UP", true, 20)
	look(50, "DOWN", false, 25)
	o.take(nil, errors.New("no complete answer in time"))
	look(60, "DOWN", false, 25)
	look(70, "DOWN 1/2", false, 25)
	if len(told) != 5 || told[0].Server != "app1" || told[2].Server != "app3" {
		t.Fatalf("%+v", told)
	}
	down := told[3]
	if down.Server != "app1" || down.Before.State != "UP" || down.State != "DOWN" || down.Before.Picked != 20 || down.Picked != 25 || !down.At.Equal(at(50)) {
		t.Errorf("%+v", down)
	}
	if _, looks, gap := o.effort(); looks != 5 || gap != 40*time.Millisecond {
		t.Errorf("%d looks, the longest gap %s", looks, gap)
	}
	if got := o.sightings(); len(got) != 5 {
		t.Errorf("%+v", got)
	}
}

func TestASampleFromBeforeTheActDoesNotCount(t *testing.T) {
	o := newObserver("/nonexistent", backend, func(Sighting) {})
	o.take(map[string]Sample{"app1": {At: at(10), State: "UP", Routing: true}}, nil)
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	up := func(s Sample) bool { return s.Routing }
	if err := o.await(ctx, "app1", at(10), up); err == nil {
		t.Error("the sample is as old as the act")
	}
	done := make(chan error, 1)
	go func() { done <- o.await(t.Context(), "app1", at(10), up) }()
	o.take(map[string]Sample{"app1": {At: at(20), State: "DOWN"}}, nil)
	select {
	case err := <-done:
		t.Errorf("it is down: %v", err)
	default:
	}
	o.take(map[string]Sample{"app1": {At: at(30), State: "UP", Routing: true}}, nil)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
