package daemon

import (
	"fmt"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd/serve"
)

// present is who still sends this instance traffic, by what balancers say with their checks.
func (s *sidecar) present(since time.Time) presence { return presentOf(s.views.All(), since) }

// names are the services.
func (s *sidecar) names() []string {
	var names []string
	for _, service := range s.board.Latest().Services {
		names = append(names, service.Name)
	}
	return names
}

// presentOf takes a balancer as gone once it has asked since the drain began, has the server out or without weight, and no session on it. One
// that no longer asks may only be blind, and counts as there. Those that were silent before the drain count for nothing.
func presentOf(views []serve.View, since time.Time) presence {
	var p presence
	for _, v := range views {
		if v.Presence(since) != serve.Present {
			continue
		}
		p.known = true
		if word := remains(v, since); word != "" {
			p.who = append(p.who, v.Balancer.String()+" "+v.Name+": "+word)
		}
	}
	return p
}

// remains is what a balancer still has here; empty: nothing.
func remains(v serve.View, since time.Time) string {
	var words []string
	if v.At.Before(since) {
		return "not asked since"
	}
	if v.State == "UP" && v.Weight > 0 || v.State == "no check" && v.Weight > 0 {
		words = append(words, "takes it for "+v.State)
	}
	if v.Sessions > 0 {
		words = append(words, fmt.Sprintf("%d sessions", v.Sessions))
	}
	if v.Queued > 0 {
		words = append(words, fmt.Sprintf("%d waiting", v.Queued))
	}
	return strings.Join(words, ", ")
}
