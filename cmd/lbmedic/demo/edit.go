package demo

import "context"

// edit drains a server of nginx by the smallest edit of its configuration and a reload, and takes the edit back. Users
// come on new connections: nginx closes those that it kept when it reloads, whoever asks it to.
func (s *story) edit(ctx context.Context) error {
	s.nginxTally = newTally(NginxDrain)
	server := second + "/" + backend + "/" + s.where(spared).address
	return under(newLoad("http://"+s.layout.nginx+"/", nginxRate, false, s.nginxTally), func() error {
		if err := dwell(ctx, phaseTime/2); err != nil {
			return err
		}
		s.tell("demo", title, "nginx is told to leave %s alone: lbmedic drain %s --wait", spared, server)
		if err := s.lbmedic(ctx, "drain", server, "--wait", "--timeout", drainLimit.String()); err != nil {
			return err
		}
		if err := s.enter(ctx, s.nginxTally, NginxOut); err != nil {
			return err
		}
		s.tell("nginx", bad, "%s: down, by an edit of %s and a reload", spared, s.nginx.Config)
		if err := dwell(ctx, phaseTime); err != nil {
			return err
		}
		if err := s.enter(ctx, s.nginxTally, NginxReady); err != nil {
			return err
		}
		s.tell("demo", title, "lbmedic ready %s", server)
		if err := s.lbmedic(ctx, "ready", server); err != nil {
			return err
		}
		s.tell("nginx", good, "%s: in use again", spared)
		return dwell(ctx, phaseTime)
	})
}
