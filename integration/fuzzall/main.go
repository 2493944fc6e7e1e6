// Command fuzzall runs every fuzz target of the module, one after another, for the same time each. `go test -fuzz` takes
// one target of one package at a time; this is the loop around it.
//
//	go run ./integration/fuzzall -tags grpcnotrace -time 10s [-only REGEXP] [-list]
//
// It exits 1 if a target failed, and names each with the file that holds the input that broke it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzzall:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("fuzzall", flag.ContinueOnError)
	tags := flags.String("tags", "", "build `tags`")
	each := flags.Duration("time", 10*time.Second, "how `long` each target runs")
	only := flags.String("only", "", "run only the targets whose ./package.Name matches this `regexp`")
	list := flags.Bool("list", false, "list the targets and run none")
	root := flags.String("C", ".", "the module's `folder`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	match, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	targets, err := find(os.DirFS(*root), match)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("no fuzz target in %s matches %q", *root, *only)
	}
	var failed []string
	for i, t := range targets {
		if *list {
			fmt.Fprintln(out, t)
			continue
		}
		r := fuzz(ctx, *root, t, *tags, *each)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped in %s", t)
		}
		fmt.Fprintf(out, "%2d/%d %-60s %6.1fs %10s execs  %s\n", i+1, len(targets), t, r.took.Seconds(), r.execs, r.verdict())
		if r.err != nil {
			failed = append(failed, fmt.Sprintf("\n%s: %s\n%s", t, r.verdict(), r.output))
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d targets failed:%s", len(failed), len(targets), failed)
	}
	return nil
}
