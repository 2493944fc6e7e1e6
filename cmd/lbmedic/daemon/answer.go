package daemon

import (
	"context"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/healthd/serve"
)

// portsOf are the ports of a configuration, each with the server that answers there from the board.
func (s *sidecar) portsOf(h *config.Health) []port {
	return []port{s.httpPort(h), s.agentPort(h)}
}

func (s *sidecar) httpPort(h *config.Health) port {
	return port{name: "http", addr: h.HTTP, serve: func(ctx context.Context, listen func() (net.Listener, error)) error {
		l, err := listen()
		if err != nil {
			return err
		}
		return serve.NewHTTP(serve.HTTPSettings{Source: s.board}).Run(ctx, l)
	}}
}

// agentMade is what the server of the agent-check is made from.
type agentMade struct {
	service string
	send    bool
}

// agentPort answers for the one service there is, or for the one whose name `agent-send` sends. It opens after the first round: until then
// there is no word to give.
func (s *sidecar) agentPort(h *config.Health) port {
	p := port{name: "agent", addr: h.Agent, late: true}
	if len(h.Services) == 0 {
		return port{name: "agent"}
	}
	made := agentMade{service: h.Services[0].Name, send: len(h.Services) > 1}
	p.made = made
	p.serve = func(ctx context.Context, listen func() (net.Listener, error)) error {
		return serve.NewAgent(serve.AgentSettings{Source: s.board, Orders: s.board, Service: made.service, Send: made.send,
			Problem: func(err error) { s.log.Warn("agent-check", zap.Error(err)) }}).Run(ctx, listen)
	}
	return p
}

// present is who still sends this instance traffic.
func (s *sidecar) present(time.Time) presence { return presence{} }
