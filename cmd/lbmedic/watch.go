package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/remediate/admin"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// watchPause is the time from one look to the next.
const watchPause = time.Second

// watchStatus looks each second until ctx is done. A daemon that goes away is told and waited for.
func (a *app) watchStatus(ctx context.Context, ask func(context.Context) (seen, error)) error {
	tick := time.NewTicker(watchPause)
	defer tick.Stop()
	changes := &changes{app: a}
	for {
		s, err := ask(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if a.canRedraw() {
			err = a.redraw(s, err, time.Now())
		} else {
			err = changes.tell(s, err, time.Now())
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// redraw prints over what was printed before. Lines are cleared one by one: clearing all first would flicker.
func (a *app) redraw(s seen, failed error, now time.Time) error {
	var text strings.Builder
	fmt.Fprintf(&text, "lbmedic status, %s\n", admin.Clock(now))
	if failed != nil {
		fmt.Fprintln(&text, plain(failed.Error()))
	} else if err := s.write(&text, a.colour(), now); err != nil {
		return err
	}
	_, err := fmt.Fprint(a.stdout, "\x1b[H"+strings.ReplaceAll(text.String(), "\n", "\x1b[K\n")+"\x1b[J")
	return err
}

// changes prints what is different from the look before, one line each.
type changes struct {
	*app
	before map[string]string
}

func (c *changes) tell(s seen, failed error, now time.Time) error {
	after := map[string]string{}
	if failed != nil {
		after = maps.Clone(c.before) // what was known is not gone because nobody answers
		if after == nil {
			after = map[string]string{}
		}
		after[""] = failed.Error()
	} else {
		after[""] = strings.Join(s.standing(), "; ")
		for _, b := range s.Balancers {
			for _, row := range b.Servers {
				after[b.Balancer+"/"+row.Backend+"/"+row.Server] = summary(row)
			}
		}
	}
	names := map[string]bool{}
	for name := range c.before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		text, is := after[name]
		if !is {
			text = "gone"
		}
		if was, known := c.before[name]; known && was == text || !known && text == "" {
			continue
		}
		if err := c.line(now, name, text); err != nil {
			return err
		}
	}
	c.before = after
	return nil
}

func (c *changes) line(now time.Time, name, text string) error {
	if c.json() {
		return c.printLine(map[string]any{"at": now, "name": name, "now": text})
	}
	if name == "" && text == "" {
		text = "all is well again"
	}
	if name != "" {
		name += "  "
	}
	_, err := fmt.Fprintf(c.stdout, "%s  %s%s\n", admin.Clock(now), plain(name), plain(text))
	return err
}

// standing are the alarms without what changes each second.
func (s seen) standing() []string {
	for i := range s.Balancers {
		if s.Balancers[i].Error != "" {
			s.Balancers[i].Read = time.Time{}
		}
	}
	return s.alarms(time.Time{})
}

// summary is what has to be told of a server when it changes.
func summary(row control.ServerStatus) string {
	parts := []string{row.State}
	if row.SetBy != "" {
		parts = append(parts, "by "+row.SetBy+colon(row.Why))
	}
	if row.Sidecar != "" {
		parts = append(parts, "health "+evidenceCell(row).text)
	}
	if row.Would != "" {
		parts = append(parts, "would "+row.Would)
	}
	return strings.Join(parts, ", ")
}

// printLine writes one JSON document on one line.
func (a *app) printLine(value any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}
