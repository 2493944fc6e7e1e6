package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/healthd/serve"
	"github.com/lbmedic/lbmedic/healthd/serve/grpc"
)

// portsOf are the ports of a configuration, each with the server that answers there from the board.
func (s *sidecar) portsOf(h *config.Health) []port {
	return []port{s.httpPort(h), s.agentPort(h), s.grpcPort(h)}
}

// sayWhatLeaks tells once which ports others can reach, and what they learn there. The balancers are elsewhere as a rule, so it is no mistake.
func sayWhatLeaks(h *config.Health, log *zap.Logger) {
	beyond := func(a netip.AddrPort) bool { return a.IsValid() && !a.Addr().IsLoopback() }
	if beyond(h.HTTP) {
		log.Info("health.http is open beyond this host: who holds no token of health.tokens learns each service's status and the names of failing shared dependencies",
			zap.Stringer("address", h.HTTP), zap.Int("tokens", len(h.Tokens)))
	}
	if beyond(h.Agent) {
		log.Warn("health.agent is open beyond this host: whoever connects learns why a service fails, for HAProxy logs the reason; let only balancers reach it",
			zap.Stringer("address", h.Agent))
	}
	if beyond(h.GRPC) {
		log.Info("health.grpc is open beyond this host, without TLS: who holds no token of health.tokens learns the status of the services whose names he knows",
			zap.Stringer("address", h.GRPC))
	}
	if beyond(h.HTTP) && slices.ContainsFunc(h.Balancers, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		log.Warn("health.balancers believes the whole world: anybody can make this host wait for him at a stop", zap.Stringer("address", h.HTTP))
	}
}

func (s *sidecar) httpPort(h *config.Health) port {
	return port{name: "http", addr: h.HTTP, made: fmt.Sprint(h.TokensOnly, h.Tokens), serve: func(ctx context.Context, listen func() (net.Listener, error)) error {
		l, err := listen()
		if err != nil {
			return err
		}
		return serve.NewHTTP(serve.HTTPSettings{Source: s.board, Tokens: h.Tokens, TokensOnly: h.TokensOnly, Views: s.views, Metrics: s.metrics.Handler()}).Run(ctx, l)
	}}
}

func (s *sidecar) grpcPort(h *config.Health) port {
	return port{name: "grpc", addr: h.GRPC, made: fmt.Sprint(h.TokensOnly, h.Tokens), serve: func(ctx context.Context, listen func() (net.Listener, error)) error {
		l, err := listen()
		if err != nil {
			return err
		}
		return grpc.New(grpc.Settings{Source: s.board, Tokens: h.Tokens, TokensOnly: h.TokensOnly}).Run(ctx, l)
	}}
}

// agentMade is what the server of the agent-check is made from.
type agentMade struct {
	service   string
	send      bool
	drain     config.DrainAs
	slowStart time.Duration
	balancers string
}

// debtorsOf are who may hear of a drain: health.balancers, where they are more than the default, which is this host.
func debtorsOf(h *config.Health) []netip.Prefix {
	if !slices.ContainsFunc(h.Balancers, func(p netip.Prefix) bool { return !p.Addr().IsLoopback() }) {
		return nil
	}
	return h.Balancers
}

// agentPort answers for the one service there is, or for the one whose name `agent-send` sends. It opens after the first round: until then
// there is no word to give.
func (s *sidecar) agentPort(h *config.Health) port {
	if len(h.Services) == 0 {
		return port{name: "agent"}
	}
	made := agentMade{service: h.Services[0].Name, send: len(h.Services) > 1, drain: h.DrainAs, slowStart: h.SlowStart, balancers: fmt.Sprint(debtorsOf(h))}
	return port{name: "agent", addr: h.Agent, late: true, made: made, serve: func(ctx context.Context, listen func() (net.Listener, error)) error {
		settings := serve.AgentSettings{Source: s.board, Orders: s.board, Service: made.service, Send: made.send,
			Weights: s.weights, Views: s.views, Drain: serve.DrainByState, SlowStart: made.slowStart, Balancers: debtorsOf(h),
			Problem: func(err error) { s.log.Warn("agent-check", zap.Error(err)) }, Answered: s.metrics.Answered}
		if made.drain == config.DrainAsWeight {
			settings.Drain = serve.DrainByWeight
		}
		return serve.NewAgent(settings).Run(ctx, listen)
	}}
}
