package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Outcome is what is known of a command that was sent.
type Outcome uint8

// The outcomes. The zero value is the careful one: the command may have been carried out, may still be, or neither.
const (
	Unknown Outcome = iota
	Done
	Refused
)

var outcomeNames = [...]string{"unknown", "done", "refused"}

func (o Outcome) String() string { return outcomeNames[o] }

// Result is one command and what became of it.
type Result struct {
	Command Command
	Outcome Outcome
	Said    string // HAProxy's own words, where it answered in words
	Err     error  // why the outcome is not Done; matches ErrUnknown, ErrLevel, ErrDisabled, … where that is the reason
	Holds   Truth  // what a read-back found; CannotTell where there was none
}

// Report is one batch of commands and its outcome.
type Report struct {
	Before  Info // the process that the commands were meant for
	After   Info // the same process behind the last command; zero where that could not be read
	Sent    bool // whether commands may have reached HAProxy; if not, nothing has happened and Results is empty
	Results []Result
}

// All reports whether commands were sent and each has that outcome.
func (r Report) All(o Outcome) bool {
	for _, result := range r.Results {
		if result.Outcome != o {
			return false
		}
	}
	return len(r.Results) > 0
}

// Do sends commands as one batch on one connection, after reading which process is at its other end. If that process is
// stopping, or is not the expected one (the zero Generation expects none), nothing is sent and the error matches ErrStopping or
// ErrGeneration. Afterwards the process is asked again whether it still is the live one: what an old worker was told
// is lost with it, and so Unknown.
//
// The error is nil where each outcome is Done or Refused.
func (c *Client) Do(ctx context.Context, expect Generation, commands ...Command) (Report, error) {
	report, err := c.do(ctx, expect, commands)
	if err != nil {
		return report, fmt.Errorf("%s: %w", describe(commands), err)
	}
	return report, nil
}

func (c *Client) do(ctx context.Context, expect Generation, commands []Command) (Report, error) {
	requests, err := encodeAll(commands)
	if err != nil {
		return Report{}, err
	}
	t, before, closeConn, err := c.open(ctx)
	if err != nil {
		return Report{Before: before}, err
	}
	defer closeConn()
	report := Report{Before: before}
	if before.Stopping {
		return report, newFault(ErrStopping, nil, "nothing was sent to %s: the worker with pid %d is stopping after a reload; ask the new one", c.settings.Address, before.PID)
	}
	if !expect.IsZero() && !expect.Same(before.Generation()) {
		return report, newFault(ErrGeneration, nil, "nothing was sent to %s: %s answers where %s was expected; read its state again", c.settings.Address, before.Generation(), expect)
	}
	report.Sent = true
	report.Results = make([]Result, len(commands))
	for i, command := range commands {
		report.Results[i].Command = command
	}
	if err := t.run(&report, append(requests, "show info")); err != nil {
		return report, fmt.Errorf("answer of %s: %w", c.settings.Address, stopped(ctx, err))
	}
	return report, nil
}

func encodeAll(commands []Command) ([]string, error) {
	if len(commands) == 0 {
		return nil, newFault(ErrName, nil, "there is no command")
	}
	requests := make([]string, 0, len(commands)+1)
	for _, command := range commands {
		line, err := command.Encode()
		if err != nil {
			return nil, err
		}
		if !command.Verb.Writes() {
			return nil, newFault(ErrName, nil, "`%s` only reads", line)
		}
		requests = append(requests, line)
	}
	return requests, nil
}

// run sends the requests, the last of which is `show info`, and judges the answers.
func (t *talk) run(report *Report, requests []string) error {
	err := t.send(requests...)
	for i := range report.Results {
		var answer string
		if err == nil {
			answer, err = t.answer()
		}
		if err != nil {
			report.Results[i].Err = err
			continue
		}
		report.Results[i].judge(answer)
	}
	if err == nil {
		report.After, err = t.info()
	}
	if err == nil {
		err = t.unasked()
	}
	if err == nil && (report.After.Stopping || !report.After.Generation().Same(report.Before.Generation())) {
		err = newFault(ErrStopping, nil, "the worker with pid %d began to stop meanwhile: what it was told may be lost; ask the new one", report.Before.PID)
	}
	for i := range report.Results {
		r := &report.Results[i]
		if err != nil && r.Outcome == Done {
			r.Outcome, r.Err = Unknown, err
		}
		if err == nil && r.Outcome == Unknown {
			err = r.Err
		}
	}
	return err
}

// unasked refuses bytes that belong to no answer.
func (t *talk) unasked() error {
	if rest := t.lines.buf[t.lines.start:t.lines.end]; len(rest) > 0 {
		return newFault(ErrNotHAProxy, nil, "more came than was asked for: %s", quote(rest))
	}
	return nil
}

// judge: an empty answer is success; an error or warning in HAProxy's words is a refusal; any other words are not
// understood.
func (r *Result) judge(answer string) {
	if answer == "" {
		r.Outcome = Done
		return
	}
	r.Said = oneLine(answer)
	if words, isError := errorLine([]byte(answer)); isError {
		r.Outcome, r.Said, r.Err = Refused, words, said(words)
		return
	}
	r.Err = newFault(ErrNotHAProxy, nil, "expected an empty answer, got %s", quote([]byte(answer)))
}

func describe(commands []Command) string {
	texts := make([]string, 0, len(commands))
	for _, command := range commands {
		line, err := command.Encode()
		if err != nil {
			line = "?"
		}
		texts = append(texts, line)
		if len(texts) == 3 && len(commands) > 3 {
			texts = append(texts, fmt.Sprintf("and %d more", len(commands)-3))
			break
		}
	}
	return strings.Join(texts, "; ")
}

// Failed joins the errors of all results that are not Done.
func (r Report) Failed() error {
	var all []error
	for _, result := range r.Results {
		if result.Outcome != Done {
			all = append(all, fmt.Errorf("%s: %s: %w", result.Command, result.Outcome, result.Err))
		}
	}
	return errors.Join(all...)
}
