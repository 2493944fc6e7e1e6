package main

import (
	"context"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"time"
)

// result is how one target fared.
type result struct {
	took    time.Duration
	execs   string
	crasher string // what broke it: a file below the module's root, or FuzzXxx/seed#N for an f.Add; empty if unknown
	output  string // the end of what go test said
	err     error
}

func (r result) verdict() string {
	switch {
	case r.err == nil:
		return "ok"
	case r.crasher != "":
		return "FAILED on " + r.crasher
	}
	return "FAILED without an input: " + r.err.Error()
}

// fuzz runs one target. Before Go 1.27 the tool can end a good run with "context deadline exceeded" and no input
// (golang.org/issue/75804); such a run says nothing and is done once more.
func fuzz(ctx context.Context, root string, t target, tags string, each time.Duration) result {
	r := fuzzOnce(ctx, root, t, tags, each)
	if r.err != nil && r.crasher == "" && strings.Contains(r.output, "context deadline exceeded") && ctx.Err() == nil {
		r = fuzzOnce(ctx, root, t, tags, each)
	}
	return r
}

func fuzzOnce(ctx context.Context, root string, t target, tags string, each time.Duration) result {
	began := time.Now()
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+each.String(), "-tags="+tags, "./"+t.dir)
	cmd.Dir = root
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	output, err := cmd.CombinedOutput()
	r := read(string(output), t.dir)
	r.took, r.err = time.Since(began), err
	return r
}

var (
	execs   = regexp.MustCompile(`(?m)^fuzz: elapsed: .*\bexecs: (\d+)`)
	written = regexp.MustCompile(`(?m)Failing input written to (\S+)`)
	seed    = regexp.MustCompile(`(?m)^failure while testing seed corpus entry: (\S+)`)
)

// read takes from go test's output what there is to know.
func read(output, dir string) result {
	r := result{execs: "0"}
	if all := execs.FindAllStringSubmatch(output, -1); len(all) > 0 {
		r.execs = all[len(all)-1][1]
	}
	if m := written.FindStringSubmatch(output); m != nil {
		r.crasher = path.Join(dir, m[1])
	} else if m := seed.FindStringSubmatch(output); m != nil { // a committed input, or an f.Add where it ends in seed#N
		r.crasher = path.Join(dir, "testdata/fuzz", m[1])
		if strings.Contains(m[1], "/seed#") {
			r.crasher = m[1]
		}
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	r.output = strings.Join(lines[max(0, len(lines)-40):], "\n")
	return r
}
