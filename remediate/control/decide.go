package control

import (
	"fmt"
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/remediate"
)

// decide plans for each backend, tells what is newly held back, and keeps the plans for status.
func (c *Controller) decide(seen Observation) []remediate.Plan {
	scene := c.scene(seen)
	plans := make([]remediate.Plan, len(scene.rows))
	plan := make(map[string]remediate.Plan, len(scene.rows))
	for i, b := range scene.rows {
		plans[i] = remediate.Decide(scene.of(i))
		plan[b.Name] = plans[i]
	}
	c.mu.Lock()
	c.plan = plan
	c.mu.Unlock()
	c.tell(plans, seen.At)
	return plans
}

// maxTold is how many steps that are held back are told in one round; a count stands for the rest.
const maxTold = 20

// held is one step that is held back, for one reason.
type held struct {
	target remediate.Target
	want   remediate.Verb
	reason remediate.Reason
}

// heldAgain is how long a step must not have been held back before that is news again: what comes and goes, as with a sidecar that flaps, is
// told once.
const heldAgain = 5 * time.Minute

// tell tells people what is held back now and was not lately.
func (c *Controller) tell(plans []remediate.Plan, now time.Time) {
	maps.DeleteFunc(c.held, func(_ held, last time.Time) bool { return now.Sub(last) > heldAgain })
	var news []Sighting
	more := 0
	for _, p := range plans {
		for _, h := range p.Hold {
			what := held{h.Target, h.Want, h.Reason}
			_, told := c.held[what]
			c.held[what] = now
			switch {
			case told:
			case len(news) == maxTold:
				more++
			default:
				c.log.Info("held back", zap.Stringer("target", h.Target), zap.String("want", string(h.Want)),
					zap.String("reason", string(h.Reason)), zap.String("detail", h.Detail))
				news = append(news, Sighting{Balancer: c.settings.Name, Target: h.Target.String(), What: "held", Detail: h.String()})
			}
		}
	}
	if more > 0 {
		c.log.Info("more is held back", zap.Int("servers", more))
		news = append(news, Sighting{Balancer: c.settings.Name, What: "held", Detail: fmt.Sprintf("and %d more; `lbmedic status` lists them", more)})
	}
	c.book.Saw(news...)
}
