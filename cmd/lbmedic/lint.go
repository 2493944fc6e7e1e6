package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/daemon"
	"github.com/lbmedic/lbmedic/lbconfig"
)

func newLintCommand(a *app) *cobra.Command {
	var as dialect
	cmd := &cobra.Command{
		Use:   "lint [FILE…]",
		Short: "what the real HAProxy or nginx says of a configuration",
		Long: "Has the real program judge each FILE; without one the configurations of all balancers in lbmedic.yaml, or, where there is\n" +
			"no lbmedic.yaml, of every HAProxy and nginx that runs on this host.\n" +
			"Prints file:line:col: severity rule: text.\n" +
			"Exit status 0: valid; 3: findings of severity warning or worse; 2: the program could not be run, so nothing is known.",
		Args: cobra.ArbitraryArgs,
	}
	cmd.Flags().Var(&as, "as", "haproxy or nginx, instead of a look at the content")
	program := cmd.Flags().String("program", "", "the program to ask, with its path; by default that of lbmedic.yaml, or the usual one")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		subjects, err := a.subjects(cmd.Context(), names, as, *program)
		if err != nil {
			return err
		}
		return a.lint(cmd.Context(), subjects)
	}
	return cmd
}

// linted is what the real program said of one configuration.
type linted struct {
	File     string             `json:"file"`
	Dialect  dialect            `json:"dialect"`
	Program  string             `json:"program"`
	Verdict  string             `json:"verdict"` // valid, invalid, unknown
	Why      string             `json:"why,omitempty"`
	Problems []lbconfig.Problem `json:"problems"`
}

func (a *app) lint(ctx context.Context, subjects []subject) error {
	results := []linted{}
	for _, s := range subjects {
		r := s.judge(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		results = append(results, r)
		if a.json() {
			continue
		}
		for _, p := range r.Problems {
			if _, err := fmt.Fprintln(a.stdout, plain(p.String())); err != nil {
				return err
			}
		}
		if r.Verdict == "valid" {
			if err := a.say("%s: valid, %ssays %s", r.File, withWarnings(r.Problems), r.Program); err != nil {
				return err
			}
		}
	}
	if a.json() {
		if err := a.printJSON(results); err != nil {
			return err
		}
	}
	return exitOfLint(results)
}

// withWarnings counts what was found in a configuration that is valid all the same.
func withWarnings(problems []lbconfig.Problem) string {
	n := 0
	for _, p := range problems {
		if p.Severity >= lbconfig.Warning {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return "with " + count(n, "warning") + ", "
}

// exitOfLint lets what is not known outweigh what was found: unknown is never valid.
func exitOfLint(results []linted) error {
	var unknown []error
	found := false
	for _, r := range results {
		if r.Verdict != "valid" && r.Verdict != "invalid" {
			unknown = append(unknown, fmt.Errorf("%s: nothing is known: %s", r.File, r.Why))
		}
		worst, any := lbconfig.Worst(r.Problems)
		found = found || r.Verdict == "invalid" || any && worst >= lbconfig.Warning
	}
	switch {
	case len(unknown) > 0:
		return peerError(errors.Join(unknown...))
	case found:
		return exitWith(exitFindings)
	}
	return nil
}

// nothingToLint says why no configuration is known; found is what a look at this host told.
func nothingToLint(configFile string, found []string) string {
	if lines := ofBalancers(found); len(lines) > 0 {
		return lines[0]
	}
	if _, err := os.Stat(configFile); err == nil {
		return configFile + " names no balancers"
	}
	return "there is no " + configFile + ", and no HAProxy or nginx runs here"
}

// ofBalancers are the lines of daemon.Discover that are not about services.
func ofBalancers(found []string) (lines []string) {
	for _, line := range found {
		if strings.HasPrefix(line, "haproxy ") || strings.HasPrefix(line, "nginx ") || strings.HasPrefix(line, "could not look") {
			lines = append(lines, line)
		}
	}
	return lines
}

// subjects are the configurations to judge.
func (a *app) subjects(ctx context.Context, names []string, as dialect, program string) ([]subject, error) {
	cfg, err := a.loadConfig()
	switch {
	case err != nil && len(names) == 0:
		return nil, err
	case err != nil:
		cfg = nil // a FILE is judged with defaults all the same
	}
	var found []string
	if cfg != nil && cfg.File == "" && len(names) == 0 {
		found = daemon.Discover(ctx, cfg)
	}
	var known []subject
	if cfg != nil {
		for _, b := range cfg.Balancers {
			known = append(known, subjectOf(b))
		}
	}
	if len(names) == 0 {
		if len(known) == 0 {
			return nil, usageError("lbmedic lint needs a FILE: %s", nothingToLint(a.configFile, found))
		}
		return known, nil
	}
	var out []subject
	for _, name := range names {
		path, err := filepath.Abs(name)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(known, func(s subject) bool { return slices.Equal(s.paths, []string{path}) && (as == "" || as == s.dialect) })
		if i >= 0 && program == "" {
			out = append(out, known[i])
			continue
		}
		s, err := subjectAt(path, as, program)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}
