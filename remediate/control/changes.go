package control

import (
	"fmt"

	"github.com/lbmedic/lbmedic/remediate"
)

// maxChanges bounds how many changes of one look are written down; the last line tells how many more there were.
const maxChanges = 20

// changesOf tells people what became of the servers between two looks, whoever did it: the balancer's own check, a hand
// at the socket, a reload. It is not told again what a step of ours has just done, for the journal has that.
func (c *Controller) changesOf(before, after Observation) (news []Sighting) {
	was := map[remediate.Target]string{}
	for _, b := range before.Backends {
		for _, s := range b.Servers {
			was[c.target(b.Name, s.Name)] = Row(b.Name, s).State
		}
	}
	ledger, more := c.book.Ledger(), 0
	for _, b := range after.Backends {
		for _, s := range b.Servers {
			t := c.target(b.Name, s.Name)
			old, known := was[t]
			ledger.Annotate(t, &s)
			row := Row(b.Name, s)
			ours := (s.Take != nil || s.Order != nil) && !s.InService()
			switch {
			case !known || old == row.State || ours:
			case len(news) == maxChanges:
				more++
			default:
				news = append(news, Sighting{Balancer: c.settings.Name, Target: t.String(), What: "server", Detail: change(old, row)})
			}
		}
	}
	if more > 0 {
		news = append(news, Sighting{Balancer: c.settings.Name, What: "server", Detail: fmt.Sprintf("and %d more; `lbmedic status` lists them", more)})
	}
	return news
}

func change(old string, row ServerStatus) string {
	text := old + " → " + row.State
	if row.SetBy != "" {
		text += ": " + row.SetBy
	}
	return text
}
