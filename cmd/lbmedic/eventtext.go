package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/admin"
	"github.com/lbmedic/lbmedic/remediate/control"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

// eventTexts say what a record of each kind means to a person.
var eventTexts = map[string]func(json.RawMessage) (string, error){
	remediate.KindOrder:   orderText,
	remediate.KindIntent:  intentText,
	remediate.KindOutcome: outcomeText,
	remediate.KindFact:    factText,
	remediate.KindFreeze:  freezeText("frozen"),
	remediate.KindThaw:    freezeText("thawed"),
	remediate.KindSaw:     sightingText,
}

// eventText is a record as one line. A kind that is not known, or a body that is not as it should be, is shown raw.
func eventText(r journal.Record) string {
	text := r.Kind + " " + string(r.Body)
	if tell, ok := eventTexts[r.Kind]; ok {
		if told, err := tell(r.Body); err == nil {
			text = told
		}
	}
	return fmt.Sprintf("%s  %6d  %s", admin.Clock(r.At), r.Seq, plain(text))
}

func orderText(body json.RawMessage) (string, error) {
	var r remediate.OrderRecord
	err := json.Unmarshal(body, &r)
	text := fmt.Sprintf("order    %s %s by %s", r.Order.Want, r.Target, r.Order.By)
	if !r.Order.Until.IsZero() {
		text += " until " + admin.Clock(r.Order.Until)
	}
	return text + colon(r.Order.Reason), err
}

func intentText(body json.RawMessage) (string, error) {
	var r remediate.IntentRecord
	err := json.Unmarshal(body, &r)
	text := fmt.Sprintf("intent   %s %s", r.Action.Verb, r.Action.Target)
	if r.By != "" {
		text += " for " + r.By
	}
	return text + colon(string(r.Action.Reason)) + brackets(r.Action.Detail), err
}

func outcomeText(body json.RawMessage) (string, error) {
	var r remediate.OutcomeRecord
	err := json.Unmarshal(body, &r)
	return fmt.Sprintf("outcome  %s %s: %s", r.Verb, r.Target, r.Result) + brackets(r.Detail), err
}

func factText(body json.RawMessage) (string, error) {
	var r remediate.FactRecord
	err := json.Unmarshal(body, &r)
	return fmt.Sprintf("fact     %s %s", r.Fact.Change, r.Fact.Target) + colon(string(r.Fact.Reason)), err
}

func freezeText(word string) func(json.RawMessage) (string, error) {
	return func(body json.RawMessage) (string, error) {
		var f remediate.Freeze
		err := json.Unmarshal(body, &f)
		return fmt.Sprintf("%-8s by %s", word, f.By) + colon(f.Reason), err
	}
}

func sightingText(body json.RawMessage) (string, error) {
	var s control.Sighting
	err := json.Unmarshal(body, &s)
	where := s.Target
	if where == "" {
		where = s.Balancer
	}
	text := strings.TrimSpace(fmt.Sprintf("saw      %s %s", s.What, where))
	if before, after, found := strings.Cut(s.Detail, " "+s.Target+": "); found && s.Target != "" {
		s.Detail = before + ": " + after // it names the target again
	}
	return text + colon(s.Detail), err
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

func brackets(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
