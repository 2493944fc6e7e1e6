package admin

import "context"

// Witnessed asks every controller once how far the drain of a local service is. Without controllers there are no Acks.
func (s *Server) Witnessed(ctx context.Context, service string) ServiceDrain {
	svc, err := s.service(service)
	if err != nil || s.Witnesses == nil {
		return ServiceDrain{Service: service}
	}
	at := whereabouts{name: svc.Name, address: svc.Address, host: hostAddresses(), views: s.Views.All()}
	return ServiceDrain{Service: service, Acks: s.Witnesses.ask(ctx, at.at)}
}
