package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// redisKind speaks RESP 2 by itself (https://redis.io/docs/latest/develop/reference/protocol-spec/): AUTH, PING and, where the config
// asks for what they tell, two sections of INFO. Valkey and KeyDB answer alike.
var redisKind = Kind{
	Doc:         "redis answers PING with PONG, and what is asked beside it holds: its role, its replication, its memory; a replica without its primary warns",
	Target:      Option{Doc: "host:port, the absolute path of a unix socket, or redis[s]://[user:password@]host:port", Type: Text, Secret: true},
	Measurement: "responseTime",
	Example:     "{redis: 127.0.0.1:6379, role: primary, memory_warn: 90%}",
	Options: slices.Concat([]Option{
		{Key: "username", Doc: "ACL user to log in as; without one, the default user", Type: Text},
		{Key: "password", Doc: "password to log in with", Type: Text, Secret: true},
		{Key: "role", Doc: "what it must be; a replica must also have its link to the primary up", Type: Word, Words: []string{"primary", "replica"}},
		{Key: "memory_warn", Doc: "used part of maxmemory that warns; without maxmemory nothing is judged", Type: Percent, Min: 1, Max: 1000},
		{Key: "memory_fail", Doc: "used part of maxmemory that fails", Type: Percent, Min: 1, Max: 1000},
		tlsOption,
	}, tlsOptions),
	New: newRedis,
}

type redis struct {
	address, username, password string
	role                        string
	memoryWarn, memoryFail      float64 // percent; 0: not judged
	secure                      *tlsClient
	mute                        bool // it has refused INFO, which was asked for no key's sake
}

func newRedis(s Settings) (Probe, error) {
	r := &redis{address: s.Target(), username: s.Text("username"), password: s.Text("password"), role: s.Text("role"),
		memoryWarn: s.Number("memory_warn"), memoryFail: s.Number("memory_fail")}
	secure, errTLS := optionalTLS(s)
	r.secure = secure
	var errs []error
	if strings.Contains(r.address, "://") {
		errs = append(errs, r.readURL(s))
	}
	switch {
	case errors.Join(errs...) != nil: // no address was read
	case strings.Contains(r.address, "@"): // what stands before it may be a password
		errs = append(errs, KeyError{"", errors.New("is neither host:port nor a url that begins with redis:// or rediss://")})
	default:
		if err := validateServer(r.address); err != nil {
			errs = append(errs, KeyError{"", err})
		}
	}
	if r.username != "" && r.password == "" {
		errs = append(errs, KeyError{"password", errors.New("is missing: a username alone does not log in")})
	}
	if r.memoryWarn != 0 && r.memoryFail != 0 && r.memoryWarn > r.memoryFail {
		errs = append(errs, KeyError{"memory_warn", errors.New("is above memory_fail, so it would never warn")})
	}
	if err := errors.Join(append(errs, errTLS)...); err != nil {
		return nil, err
	}
	return r.probe, nil
}

// readURL takes address, user and TLS from a URL. Its errors show nothing of it: it may hold a password.
func (r *redis) readURL(s Settings) error {
	u, err := url.Parse(r.address)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return KeyError{"", errors.New("is no url such as redis://user:password@127.0.0.1:6379; it names no database, for PING is of all")}
	}
	r.address = u.Host
	if u.Port() == "" {
		r.address = net.JoinHostPort(u.Hostname(), "6379")
	}
	if u.User != nil {
		if r.password != "" {
			return KeyError{"password", errors.New("is given in the url too; keep one of them")}
		}
		r.username = u.User.Username()
		r.password, _ = u.User.Password()
	}
	if u.Scheme == "rediss" && r.secure == nil {
		r.secure, err = tlsConfig(s)
	}
	return err
}

func (r *redis) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	seen, err := r.ask(ctx)
	if err != nil {
		return failed(ctx, start, "no redis answer", err)
	}
	class, detail := r.judge(seen)
	o := healthd.NewOutcome(start, time.Since(start), class, detail)
	if percent, ok := seen.memory(); ok && r.judgesMemory() {
		return o.Measured(percent, "percent")
	}
	return o
}

// ask logs in, pings and reads INFO. The commands go out at once and the answers are read in their order.
func (r *redis) ask(ctx context.Context) (redisInfo, error) {
	c, err := openLine(ctx, r.address, r.secure)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // a reset is wanted; an error of it says nothing of the answer
	var commands [][]string
	if r.password != "" {
		login := []string{"AUTH", r.password}
		if r.username != "" {
			login = []string{"AUTH", r.username, r.password}
		}
		commands = append(commands, login)
	}
	commands = append(commands, []string{"PING"})
	if r.judgesMemory() {
		commands = append(commands, []string{"INFO", "memory"})
	}
	if !r.mute {
		commands = append(commands, []string{"INFO", "replication"})
	}
	var out strings.Builder
	for _, command := range commands {
		out.WriteString(respCommand(command...))
	}
	if err := c.say(out.String()); err != nil {
		return nil, err
	}
	info := redisInfo{}
	for _, command := range commands {
		reply, err := readRESP(c.r)
		if err != nil && !isTimeout(err) && r.role == "" && slices.Equal(command, []string{"INFO", "replication"}) {
			r.mute = true // a user may lack the right, a proxy may close the connection; it is the last command
			break
		}
		if refusal, ok := errors.AsType[respError](err); ok {
			return nil, wrongAnswer(command[0] + ": " + string(refusal))
		}
		if err != nil {
			return nil, err
		}
		switch {
		case command[0] == "PING" && reply != "PONG", command[0] == "AUTH" && reply != "OK":
			return nil, wrongAnswer(fmt.Sprintf("%s: it said %q", command[0], healthd.Line(reply, 80)))
		case command[0] == "INFO":
			info.read(reply)
		}
	}
	return info, nil
}

func (r *redis) judgesMemory() bool { return r.memoryWarn != 0 || r.memoryFail != 0 }

// judge says what the answers mean.
func (r *redis) judge(seen redisInfo) (healthd.Class, string) {
	class, words := r.judgeRole(seen)
	if class == healthd.WrongAnswer || !r.judgesMemory() {
		return class, strings.Join(words, ", ")
	}
	of, text := r.judgeMemory(seen)
	return worse(class, of), strings.Join(append(words, text), ", ")
}

// judgeRole takes a replica that has lost its primary for one that still serves what it has, unless it is asked to be a replica.
func (r *redis) judgeRole(seen redisInfo) (healthd.Class, []string) {
	role := map[string]string{"master": "primary", "slave": "replica"}[seen["role"]]
	lost := role == "replica" && seen["master_link_status"] != "up"
	words := []string{"pong"}
	switch {
	case r.role == "" && lost:
		return healthd.Degraded, append(words, seen.linkDown())
	case r.role == "":
		return healthd.OK, words
	case role == "":
		return healthd.WrongAnswer, []string{"INFO replication tells no role"}
	case role != r.role:
		return healthd.WrongAnswer, []string{"role " + role + ", expected " + r.role}
	case lost:
		return healthd.WrongAnswer, []string{seen.linkDown()}
	}
	words = append(words, "role "+role)
	if silent, err := strconv.Atoi(seen["master_last_io_seconds_ago"]); err == nil && silent > quietPrimary {
		words = append(words, fmt.Sprintf("its primary silent for %d s", silent))
	}
	return healthd.OK, words
}

// quietPrimary is the silence of a primary in seconds that is told of: it pings its replicas each 10 s unless repl-ping-replica-period says otherwise.
const quietPrimary = 15

func (r *redis) judgeMemory(seen redisInfo) (healthd.Class, string) {
	if seen["maxmemory"] == "0" {
		return healthd.OK, "no maxmemory set, memory is not judged"
	}
	percent, ok := seen.memory()
	switch {
	case !ok && r.memoryFail != 0:
		return healthd.WrongAnswer, "INFO memory does not tell used_memory and maxmemory"
	case !ok:
		return healthd.Degraded, "INFO memory does not tell used_memory and maxmemory"
	}
	text := fmt.Sprintf("%.0f%% of maxmemory used", percent)
	switch {
	case r.memoryFail != 0 && percent >= r.memoryFail:
		return healthd.WrongAnswer, text
	case r.memoryWarn != 0 && percent >= r.memoryWarn:
		return healthd.Degraded, text
	}
	return healthd.OK, text
}

// worse is the worse of two classes of an answer.
func worse(a, b healthd.Class) healthd.Class {
	if a == healthd.WrongAnswer || b == healthd.OK {
		return a
	}
	return b
}
