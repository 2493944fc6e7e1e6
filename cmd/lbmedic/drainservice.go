package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/lbmedic/lbmedic/remediate/admin"
)

// awaitService waits until every controller says that a local service is drained, and tells what each says. Where there is no controller it ends
// with exitFindings: the time is over, and that is all that is known.
func (o *orders) awaitService(ctx context.Context, r *ordered, show *progress, alone bool) error {
	name := r.Done.Target
	last, err := o.client.AwaitService(ctx, name, o.timeout, func(d admin.ServiceDrain) { show.line(name, howFar(d)) })
	r.Service = &last
	if err != nil {
		return o.notAwaited(r, err, name, show, alone)
	}
	switch last.End {
	case admin.EndDrained:
		show.done(fmt.Sprintf("%s: drained, confirmed by %s", name, acknowledged(last)))
		return nil
	case admin.EndUnconfirmed:
		r.Error = last.Detail
		show.note(fmt.Sprintf("%s: %s; the %s stands", name, last.Detail, o.want))
		return exitWith(exitFindings)
	case admin.EndTimeout:
		err = fmt.Errorf("%s is NOT confirmed as drained after %s: %s; the %s stands: wait again, or `lbmedic ready %s`", name, o.timeout, howFar(last), o.want, name)
	case admin.EndLifted:
		err = fmt.Errorf("the %s of %s was ended by somebody else, or its time was over; `lbmedic events` tells", o.want, name)
	default:
		err = fmt.Errorf("the daemon stopped while %s was draining; the %s stands: start it with `lbmedic run`, then wait again with `lbmedic %s --wait %s`",
			name, o.want, o.want, name)
	}
	show.end()
	return o.failed(r, err, alone)
}

// howFar is what each controller says, in one line.
func howFar(d admin.ServiceDrain) string {
	words := make([]string, 0, len(d.Acks)+1)
	if d.Detail != "" {
		words = append(words, d.Detail)
	}
	for _, a := range d.Acks {
		text := a.Controller + " " + string(a.State)
		if a.Detail != "" {
			text += ": " + a.Detail
		}
		for _, s := range a.Servers {
			if string(s.State) != string(admin.WitnessDrained) {
				text += fmt.Sprintf(", %s %s: %s", s.Target, s.State, s.Detail)
			}
		}
		words = append(words, text)
	}
	return strings.Join(words, "; ")
}

// acknowledged names each controller with what it drained.
func acknowledged(d admin.ServiceDrain) string {
	words := make([]string, 0, len(d.Acks))
	for _, a := range d.Acks {
		var servers []string
		for _, s := range a.Servers {
			servers = append(servers, s.Target.String())
		}
		switch {
		case a.State == admin.WitnessAbsent:
			words = append(words, fmt.Sprintf("%s (%s)", a.Controller, a.Detail))
		default:
			words = append(words, fmt.Sprintf("%s (%s)", a.Controller, strings.Join(servers, ", ")))
		}
	}
	return strings.Join(words, ", ")
}
