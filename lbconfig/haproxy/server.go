package haproxy

import (
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Server is one server, with what default-server and HAProxy's own defaults add.
type Server struct {
	Name     string
	Place    lbconfig.Place
	Template string // the prefix of the server-template it comes from, else empty

	Family   string // the prefix before @ ("ipv4", "unix", "abns"…), else empty
	Address  string // host name, IP address or path of a socket
	Port     int    // 0 where none is named
	MapPorts bool   // Port is added to the port the client used: written +N, -N, or not at all

	Check          bool
	CheckPort      int    // 0 means the server's own
	CheckAddr      string // the host alone, its port is in CheckPort; empty means the server's own
	CheckSSL       bool   // check-ssl
	CheckPlain     bool   // no-check-ssl: not even where the server has ssl
	CheckSNI       string
	CheckALPN      string
	CheckProto     string
	CheckSendProxy bool
	Inter          time.Duration // default 2 s
	FastInter      time.Duration // default Inter
	DownInter      time.Duration // default Inter
	Rise, Fall     int           // default 2 and 3

	AgentCheck bool
	AgentPort  int           // default CheckPort; 0 means that the agent is not asked
	AgentAddr  string        // default CheckAddr; empty means the server's own
	AgentInter time.Duration // default Inter
	AgentSend  string

	Weight       int  // default 1
	WeightNamed  bool // false where the 1 is HAProxy's own
	Backup       bool
	Disabled     bool
	Track        string // "server" or "backend/server"
	Cookie       string
	NonStick     bool
	SlowStart    time.Duration
	MaxConn      int // 0 means no limit
	SSL          bool
	SNI          string
	Verify       string // "none" or "required"
	Resolvers    string
	InitAddr     string
	Observe      string
	OnError      string
	OnMarkedDown string
	OnMarkedUp   string
	SendProxy    bool // send-proxy or its kin
	Namespace    string
	ID           int // 0 where HAProxy numbers it

	addrPort int       // the port written behind addr
	proxy    proxyFlag // what of send-proxy and its kin is left
}

// serverKeyword is a word of a server or default-server line: how many words follow it, and what it sets.
type serverKeyword struct {
	args int
	set  func(*Server, string) bool // false where the value cannot be read
}

// serverKeywords are the keywords of HAProxy 2.2 to 3.2 that either matter to us or take an argument.
var serverKeywords = map[string]serverKeyword{
	"check":                   on(func(s *Server) *bool { return &s.Check }),
	"no-check":                off(func(s *Server) *bool { return &s.Check }),
	"agent-check":             on(func(s *Server) *bool { return &s.AgentCheck }),
	"no-agent-check":          off(func(s *Server) *bool { return &s.AgentCheck }),
	"backup":                  on(func(s *Server) *bool { return &s.Backup }),
	"no-backup":               off(func(s *Server) *bool { return &s.Backup }),
	"disabled":                on(func(s *Server) *bool { return &s.Disabled }),
	"enabled":                 off(func(s *Server) *bool { return &s.Disabled }),
	"ssl":                     on(func(s *Server) *bool { return &s.SSL }),
	"no-ssl":                  off(func(s *Server) *bool { return &s.SSL }),
	"check-ssl":               checkSSL(true),
	"no-check-ssl":            checkSSL(false),
	"check-send-proxy":        on(func(s *Server) *bool { return &s.CheckSendProxy }),
	"no-check-send-proxy":     off(func(s *Server) *bool { return &s.CheckSendProxy }),
	"non-stick":               on(func(s *Server) *bool { return &s.NonStick }),
	"stick":                   off(func(s *Server) *bool { return &s.NonStick }),
	"send-proxy":              sendProxy(proxyV1),
	"no-send-proxy":           noSendProxy(proxyV1),
	"send-proxy-v2":           sendProxy(proxyV2),
	"no-send-proxy-v2":        noSendProxy(proxyV2),
	"send-proxy-v2-ssl":       sendProxy(proxyV2 | proxySSL),
	"no-send-proxy-v2-ssl":    noSendProxy(proxyV2 | proxySSL),
	"send-proxy-v2-ssl-cn":    sendProxy(proxyV2 | proxySSL | proxyCN),
	"no-send-proxy-v2-ssl-cn": noSendProxy(proxyV2 | proxySSL | proxyCN),

	"addr":           {1, (*Server).checkAt},
	"agent-addr":     text(func(s *Server) *string { return &s.AgentAddr }),
	"agent-send":     text(func(s *Server) *string { return &s.AgentSend }),
	"check-sni":      text(func(s *Server) *string { return &s.CheckSNI }),
	"check-alpn":     text(func(s *Server) *string { return &s.CheckALPN }),
	"check-proto":    text(func(s *Server) *string { return &s.CheckProto }),
	"cookie":         text(func(s *Server) *string { return &s.Cookie }),
	"track":          text(func(s *Server) *string { return &s.Track }),
	"sni":            text(func(s *Server) *string { return &s.SNI }),
	"verify":         text(func(s *Server) *string { return &s.Verify }),
	"resolvers":      text(func(s *Server) *string { return &s.Resolvers }),
	"init-addr":      text(func(s *Server) *string { return &s.InitAddr }),
	"observe":        text(func(s *Server) *string { return &s.Observe }),
	"on-error":       text(func(s *Server) *string { return &s.OnError }),
	"on-marked-down": text(func(s *Server) *string { return &s.OnMarkedDown }),
	"on-marked-up":   text(func(s *Server) *string { return &s.OnMarkedUp }),
	"namespace":      text(func(s *Server) *string { return &s.Namespace }),

	"port":       number(func(s *Server) *int { return &s.CheckPort }),
	"agent-port": number(func(s *Server) *int { return &s.AgentPort }),
	"rise":       number(func(s *Server) *int { return &s.Rise }),
	"fall":       number(func(s *Server) *int { return &s.Fall }),
	"maxconn":    number(func(s *Server) *int { return &s.MaxConn }),
	"id":         number(func(s *Server) *int { return &s.ID }),
	"weight": {1, func(s *Server, v string) bool {
		n, err := strconv.Atoi(v)
		s.Weight, s.WeightNamed = n, true
		return err == nil
	}},

	"inter":       duration(func(s *Server) *time.Duration { return &s.Inter }),
	"fastinter":   duration(func(s *Server) *time.Duration { return &s.FastInter }),
	"downinter":   duration(func(s *Server) *time.Duration { return &s.DownInter }),
	"agent-inter": duration(func(s *Server) *time.Duration { return &s.AgentInter }),
	"slowstart":   duration(func(s *Server) *time.Duration { return &s.SlowStart }),
}

// wordsWithArgument take one argument that does not matter to us; every other unknown word is taken to stand alone.
const wordsWithArgument = " alpn ca-file ciphers ciphersuites client-sigalgs crl-file crt curves error-limit guid hash-key " +
	"idle-ping init-state interface log-bufsize log-proto max-reuse maxqueue minconn npn pool-conn-name check-pool-conn-name " +
	"pool-low-conn pool-max-conn pool-purge-delay proto proxy-v2-options redir resolve-net resolve-opts resolve-prefer shard " +
	"sigalgs socks4 source ssl-max-ver ssl-min-ver tcp-md5sig tcp-ut usesrc verifyhost ws cc "

func on(field func(*Server) *bool) serverKeyword {
	return serverKeyword{0, func(s *Server, _ string) bool { *field(s) = true; return true }}
}

func off(field func(*Server) *bool) serverKeyword {
	return serverKeyword{0, func(s *Server, _ string) bool { *field(s) = false; return true }}
}

func text(field func(*Server) *string) serverKeyword {
	return serverKeyword{1, func(s *Server, v string) bool { *field(s) = v; return true }}
}

func number(field func(*Server) *int) serverKeyword {
	return serverKeyword{1, func(s *Server, v string) bool {
		n, err := strconv.Atoi(v)
		*field(s) = n
		return err == nil
	}}
}

func duration(field func(*Server) *time.Duration) serverKeyword {
	return serverKeyword{1, func(s *Server, v string) bool {
		d, ok := ParseDuration(v)
		*field(s) = d
		return ok
	}}
}

// apply reads the keywords of a server or default-server line; refused are the words whose value could not be read.
func (s *Server) apply(words []Word) (refused []Word) {
	for i := 0; i < len(words); i++ {
		w := words[i]
		k, known := serverKeywords[w.Text]
		if !known {
			if strings.Contains(wordsWithArgument, " "+w.Text+" ") || strings.HasPrefix(w.Text, "set-proxy-v2-tlv-fmt") {
				i++
			}
			continue
		}
		value := ""
		if k.args == 1 {
			if i++; i == len(words) {
				return append(refused, w)
			}
			value = words[i].Text
		}
		if !k.set(s, value) {
			refused = append(refused, words[i])
		}
	}
	return refused
}

// complete fills in HAProxy's own defaults.
func (s *Server) complete() {
	s.SendProxy = s.proxy != 0
	if s.Inter == 0 {
		s.Inter = 2 * time.Second
	}
	for _, d := range []*time.Duration{&s.FastInter, &s.DownInter, &s.AgentInter} {
		if *d == 0 {
			*d = s.Inter
		}
	}
	if s.Rise == 0 {
		s.Rise = 2
	}
	if s.Fall == 0 {
		s.Fall = 3
	}
	if !s.WeightNamed {
		s.Weight = 1
	}
	// `port` and `addr` reach the agent too where it has none of its own (seen on 2.6 to 3.2).
	if s.AgentPort == 0 {
		s.AgentPort = s.CheckPort
	}
	if s.AgentAddr == "" {
		s.AgentAddr = s.CheckAddr
	}
	// The port behind `addr` is the check's alone, and only where `port` names none (seen on 2.2 to 3.2).
	if s.CheckPort == 0 {
		s.CheckPort = s.addrPort
	}
}
