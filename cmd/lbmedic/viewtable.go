package main

import (
	"fmt"
	"time"

	healthserve "github.com/lbmedic/lbmedic/healthd/serve" // this package has a serve of its own
)

// viewsTable is what balancers say of this host's services with their own checks: it proves that they are there, the weight and the sessions in
// the worker that asks, and no drain.
func viewsTable(views []healthserve.View, now time.Time) *table {
	t := &table{head: []string{"asked by", "server", "service", "says", "weight", "sess", "asked", "initial"}}
	for _, v := range views {
		says, initial := cell{v.State, plainText}, ""
		switch {
		case v.Presence(now) == healthserve.MaintOrBlind:
			says = cell{string(healthserve.MaintOrBlind), yellow} // only it knows which
		case v.State == "UP":
			says.colour = green
		case v.State == "DOWN":
			says.colour = red
		}
		if v.Initial > 0 {
			initial = fmt.Sprintf("%d or more", v.Initial)
		}
		if v.Coarse {
			initial = "too coarse"
		}
		t.add(v.Balancer.String(), v.Name, v.Service, says, fmt.Sprintf("%d/%d", v.Weight, v.Total), fmt.Sprint(v.Sessions), age(v.At, now)+" ago", initial)
	}
	return t
}
