package haproxy

// CheckTarget is where and how the health check connects when no http-check or tcp-check connect rule says otherwise. The
// check speaks TLS where check-ssl is set, or where the server has ssl, the check has neither a port nor an address of its
// own, and no-check-ssl does not forbid it (seen on 2.2 to 3.2).
func (s *Server) CheckTarget() (address string, port int, tls bool) {
	address, port, tls = s.Address, s.Port, s.CheckSSL
	if s.CheckAddr != "" {
		address = s.CheckAddr
	}
	if s.CheckPort != 0 {
		port = s.CheckPort
	}
	if s.checksItself() && !s.CheckPlain {
		tls = tls || s.SSL
	}
	return address, port, tls
}

// CheckSaysProxy reports whether the check begins with a PROXY header: by check-send-proxy, or as the server's traffic does
// where the check has neither a port nor an address of its own. no-check-send-proxy does not forbid that (seen on 2.2 to 3.2).
func (s *Server) CheckSaysProxy() bool {
	return s.CheckSendProxy || s.checksItself() && s.SendProxy
}

// checksItself reports whether the check connects where the traffic does.
func (s *Server) checksItself() bool { return s.CheckAddr == "" && s.CheckPort == 0 }

// checkAt reads the value of addr, "HOST" or "HOST:PORT".
func (s *Server) checkAt(spec string) bool {
	a := parseAddress(spec)
	s.CheckAddr, s.addrPort = a.host, 0
	if a.port == "" {
		return true
	}
	var exact bool
	s.addrPort, exact = leadingNumber(a.port)
	return exact
}

func checkSSL(tls bool) serverKeyword {
	return serverKeyword{0, func(s *Server, _ string) bool { s.CheckSSL, s.CheckPlain = tls, !tls; return true }}
}

// proxyFlag is a part of the PROXY header. Each "no-" word takes away what its word gives, so that a part of another may be
// left; any part that is left makes HAProxy send a header (seen on 2.2 to 3.2).
type proxyFlag uint8

const (
	proxyV1 proxyFlag = 1 << iota
	proxyV2
	proxySSL
	proxyCN
)

func sendProxy(f proxyFlag) serverKeyword {
	return serverKeyword{0, func(s *Server, _ string) bool { s.proxy |= f; return true }}
}

func noSendProxy(f proxyFlag) serverKeyword {
	return serverKeyword{0, func(s *Server, _ string) bool { s.proxy &^= f; return true }}
}
