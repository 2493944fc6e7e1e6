package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/lbconfig"
	"github.com/lbmedic/lbmedic/lbconfig/haproxy"
	"github.com/lbmedic/lbmedic/lbconfig/nginx"
	"github.com/lbmedic/lbmedic/lbconfig/watch"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// alert watches the configuration of one balancer, has the real program judge each change, and tells. It changes nothing.
type alert struct {
	balancer string
	paths    func() []string
	judge    func(context.Context) (judgement, error)
	book     *control.Book
	log      *zap.Logger
}

// judgement is what the real program said of the files as they are.
type judgement struct {
	valid    bool
	problems []lbconfig.Problem
}

func newAlert(b config.Balancer, book *control.Book, log *zap.Logger) *alert {
	a := &alert{balancer: b.Name, book: book, log: log.With(zap.String("balancer", b.Name))}
	if b.HAProxy != nil {
		a.paths = func() []string {
			files, err := haproxy.Expand("", b.HAProxy.Config...)
			if err != nil {
				return b.HAProxy.Config
			}
			return append(files, b.HAProxy.Config...) // a folder counts with the names in it
		}
		a.judge = func(ctx context.Context) (judgement, error) { return judgeHAProxy(ctx, b.HAProxy) }
		return a
	}
	instance := newNginx(b).Instance
	a.paths = func() []string {
		var paths []string
		for _, f := range instance.Load().Files {
			paths = append(paths, f.Source.Path)
		}
		return append(paths, instance.Conf)
	}
	a.judge = func(ctx context.Context) (judgement, error) {
		r := instance.Check(ctx)
		if r.Verdict == nginx.Unknown {
			return judgement{}, errors.New(r.Why)
		}
		return judgement{r.Verdict == nginx.Valid, r.Problems}, nil
	}
	return a
}

func judgeHAProxy(ctx context.Context, h *config.HAProxy) (judgement, error) {
	var args []string
	for _, path := range h.Config {
		args = append(args, "-f", path)
	}
	r, err := haproxy.Validator{Program: h.Program, Args: append(args, h.Args...)}.Check(ctx)
	if r.Verdict == haproxy.Unknown {
		return judgement{}, err
	}
	return judgement{r.Verdict == haproxy.Valid, r.Problems}, nil
}

// run tells once at the start and once for each content of the files.
func (a *alert) run(ctx context.Context) error {
	w := watch.New(watch.Settings{Paths: a.paths, Polling: func(reason error) {
		if reason != nil {
			a.log.Warn("no events for the balancer's configuration; it is read each 10 s", zap.Error(reason))
		}
	}})
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	var last [sha256.Size]byte
	for {
		select {
		case err := <-ended:
			return err
		case <-w.Wake():
		}
		state, err := watch.Fingerprint(a.paths())
		if err == nil && state.Content == last {
			continue
		}
		last = state.Content
		var j judgement
		if err = trusted(a.paths()); err == nil {
			j, err = a.judge(ctx)
		}
		if ctx.Err() == nil {
			a.tell(j, err)
		}
	}
}

func (a *alert) tell(j judgement, err error) {
	s := control.Sighting{Balancer: a.balancer, What: "config-valid"}
	switch {
	case err != nil:
		s.What, s.Detail = "config-unknown", oneLine(err.Error())
		a.log.Warn("the balancer's configuration cannot be judged; it is not taken for valid", zap.Error(err))
	case !j.valid:
		s.What, s.Detail = "config-invalid", firstProblems(j.problems)
		a.log.Error("the balancer's configuration would be refused at its next reload", zap.String("problems", s.Detail))
	default:
		a.log.Info("the balancer's configuration is valid")
	}
	a.book.Saw(s)
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }

// firstProblems names the first three.
func firstProblems(problems []lbconfig.Problem) string {
	var lines []string
	for i, p := range problems {
		if i == 3 {
			lines = append(lines, fmt.Sprintf("and %d more", len(problems)-3))
			break
		}
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "; ")
}
