package daemon

import (
	"context"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/healthd/client"
	"github.com/lbmedic/lbmedic/healthd/probe"
)

// siblings are the other instances of this host's services, who are asked what they see of the dependencies that they share with it: each host
// once an interval, whatever number of services it is a sibling for.
type siblings struct {
	board  *probe.Board
	client *client.Client
	urls   map[string]string // by host; one will do, for a sibling answers for the whole instance
	known  map[string]string // the shared dependencies of this instance by their digest
	log    *zap.Logger

	mu     sync.Mutex
	others []string            // the hosts that are not this one
	of     map[string][]string // of them, by service
}

// minAsk is the least time between two questions to one sibling.
const minAsk = 50 * time.Millisecond

// maxOthers bounds the siblings that are asked. Beyond it the first by name are.
const maxOthers = 256

func newSiblings(h *config.Health, services []probe.Service, board *probe.Board, c *client.Client, log *zap.Logger) *siblings {
	s := &siblings{board: board, client: c, urls: map[string]string{}, known: map[string]string{}, of: map[string][]string{}, log: log}
	for _, service := range h.Services {
		s.of[service.Name] = nil
		for _, text := range service.Siblings {
			u, err := url.Parse(text)
			if err != nil {
				continue // the configuration has none of these
			}
			host := u.Scheme + "://" + u.Host
			s.urls[host] = text
			s.of[service.Name] = append(s.of[service.Name], host)
		}
	}
	for host := range s.urls {
		s.others = append(s.others, host)
	}
	slices.Sort(s.others)
	s.others = s.others[:min(len(s.others), maxOthers)]
	for _, service := range services {
		for _, c := range service.Checks {
			if c.Shared {
				d := healthd.Dependency(c.Kind, c.Target)
				s.known[healthd.Digest(d)] = d
			}
		}
	}
	return s
}

// run asks until ctx is done.
func (s *siblings) run(ctx context.Context) {
	s.mu.Lock()
	others := slices.Clone(s.others)
	s.name()
	s.mu.Unlock()
	if len(s.known) == 0 {
		return
	}
	if len(others) == 0 {
		s.log.Info("shared dependencies are suspected, and never held against this host: no service has siblings to ask")
		return
	}
	var asking sync.WaitGroup
	for _, host := range others {
		asking.Go(func() { s.ask(ctx, host) })
	}
	asking.Wait()
}

// ask asks one sibling again and again: three times in the two intervals for which an answer is good, so that one may be lost. It begins at a
// moment of its own.
func (s *siblings) ask(ctx context.Context, host string) {
	told := ""
	every, _ := s.board.Shares()
	every = max(every*2/3, minAsk)
	begin := time.NewTimer(rand.N(every))
	defer begin.Stop()
	select {
	case <-ctx.Done():
		return
	case <-begin.C:
	}
	beat := time.NewTicker(every)
	defer beat.Stop()
	for {
		asked := time.Now()
		seen, err := s.client.Sightings(ctx, s.urls[host])
		if ctx.Err() != nil {
			return
		}
		if err == nil && seen.Instance == s.board.Latest().Instance {
			s.isOurselves(host)
			return
		}
		problem := ""
		if err == nil {
			s.board.Hear(host, asked, s.named(seen.Sightings))
		} else {
			problem = err.Error()
		}
		if problem != told {
			s.tell(host, problem)
		}
		told = problem
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
	}
}

func (s *siblings) tell(host, problem string) {
	log := s.log.With(zap.String("sibling", host))
	if problem == "" {
		log.Info("a sibling says what it sees of shared dependencies again")
		return
	}
	log.Warn("a sibling says nothing of shared dependencies", zap.String("because", problem))
}

// named puts the names of our own dependencies in the place of digests, and leaves others out.
func (s *siblings) named(sightings []healthd.Sighting) []healthd.Sighting {
	var named []healthd.Sighting
	for _, seen := range sightings {
		if name, ok := s.known[seen.Dependency]; ok {
			seen.Dependency = name
			named = append(named, seen)
		}
	}
	return named
}

// name tells the board who there is.
func (s *siblings) name() {
	s.board.Siblings(s.others)
	s.board.SiblingsOf(s.of)
}

// isOurselves takes a host off the lists: one list for all hosts names each of them, and nobody is a witness of his own.
func (s *siblings) isOurselves(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := func(o string) bool { return o == host }
	s.others = slices.DeleteFunc(s.others, is)
	for service, hosts := range s.of {
		s.of[service] = slices.DeleteFunc(hosts, is)
	}
	s.name()
}
