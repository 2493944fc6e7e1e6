package check

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
	"github.com/lbmedic/lbmedic/internal/peer/peertest"
)

// planted is the password of every real server here; no outcome may show it.
const planted = "pl4nted-S3cret"

// realServer is a server of a kind, started by a test on a port of its own.
type realServer struct {
	address string // host:port
	dir     string // its data, and whatever else it was given
	cmd     *exec.Cmd
	log     syncBuffer
	ended   chan struct{}
}

// recipe says how a server is started. Its arguments may name {dir}, {port} and {addr}; extra ports are {port2} and so on.
type recipe struct {
	program string            // see peer.Tool
	files   map[string]string // written below its folder before it starts, with the same words replaced
	prepare [][]string        // programs run to their end first
	args    []string
	env     []string
	port    int // 0: any
	quit    syscall.Signal
}

// start runs the recipe and stops it when the test ends. It does not wait for the server to answer.
func (r recipe) start(t *testing.T) *realServer {
	t.Helper()
	path := peertest.Tool(t, r.program)
	s := &realServer{dir: peertest.Dir(t), ended: make(chan struct{})}
	port := r.port
	if port == 0 {
		port = peertest.Port(t)
	}
	s.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	words := strings.NewReplacer("{dir}", s.dir, "{port}", strconv.Itoa(port), "{addr}", s.address, "{port2}", strconv.Itoa(peertest.Port(t)),
		"{port3}", strconv.Itoa(peertest.Port(t)))
	fill := func(texts []string) []string {
		filled := make([]string, len(texts))
		for i, text := range texts {
			filled[i] = words.Replace(text)
		}
		return filled
	}
	for name, text := range r.files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(words.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(path string, args []string) *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Dir, cmd.Env = s.dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LC_ALL=C"}, fill(r.env)...)
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &s.log, &s.log, time.Second
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		return cmd
	}
	for _, argv := range r.prepare {
		if err := run(peertest.Tool(t, argv[0]), fill(argv[1:])).Run(); err != nil {
			t.Fatalf("%s: %v\n%s", argv[0], err, s.log.String())
		}
	}
	s.cmd = run(path, fill(r.args))
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is seen in its log
		close(s.ended)
	}()
	t.Cleanup(func() { s.stop(t, r.quit) })
	return s
}

// stop ends the server and whatever it started. It may be called more than once.
func (s *realServer) stop(t *testing.T, quit syscall.Signal) {
	t.Helper()
	if quit != 0 {
		s.signal(syscall.SIGCONT)
		_ = s.cmd.Process.Signal(quit) // it may have ended
		select {
		case <-s.ended:
		case <-time.After(5 * time.Second):
			t.Logf("the server did not end by itself")
		}
	}
	s.signal(syscall.SIGKILL)
	<-s.ended
	if t.Failed() {
		t.Logf("the end of the log of %s:\n%s", s.cmd.Path, s.log.tail())
	}
}

// signal reaches the server and its process group, which outlives it while a member lives.
func (s *realServer) signal(sig syscall.Signal) { _ = syscall.Kill(-s.cmd.Process.Pid, sig) }

// up waits until the condition holds; what it says is the error if it never does.
func (s *realServer) up(t *testing.T, what string, ready func() (bool, string)) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(40 * time.Second)
	for {
		ok, said := ready()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-s.ended:
			t.Fatalf("%s: the server ended:\n%s", what, s.log.tail())
		case <-deadline:
			t.Fatalf("%s: not within 40 s, at last: %s\n%s", what, said, s.log.tail())
		}
	}
}

// answers waits until a check of the server is as wanted.
func (s *realServer) answers(t *testing.T, kind, target string, o options, want healthd.Class) {
	t.Helper()
	s.up(t, kind+" "+want.String(), func() (bool, string) {
		got := probe(t, kind, target, o, 2*time.Second)
		return got.Class == want, fmt.Sprintf("%s: %s", got.Class, got.Detail)
	})
}

// pki are the files of a server's certificate for 127.0.0.1, to be written into its folder.
func pki(t *testing.T, a authority) map[string]string {
	t.Helper()
	cert, key := files(t, t.TempDir(), a.leaf(nil))
	texts := map[string]string{}
	for name, path := range map[string]string{"cert.pem": cert, "key.pem": key, "ca.pem": a.file()} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	return texts
}

// seen is one row of a table of real servers.
type seen struct {
	target  string
	options options
	class   healthd.Class
	detail  string // part of it
}

// judge probes each row and compares; no outcome may show the planted password.
func judge(t *testing.T, kind string, rows map[string]seen) {
	t.Helper()
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			o := probe(t, kind, row.target, row.options, 10*time.Second)
			if o.Class != row.class || !strings.Contains(o.Detail, row.detail) {
				t.Errorf("got %s: %q, want %s: %q", o.Class, o.Detail, row.class, row.detail)
			}
			if strings.Contains(o.Detail, planted) {
				t.Errorf("the detail shows the password: %q", o.Detail)
			}
		})
	}
}

// judgeSilence stops the server in its tracks: the probe ends at its deadline, as a timeout.
func judgeSilence(t *testing.T, s *realServer, kind, target string, o options) {
	t.Helper()
	t.Run("slow", func(t *testing.T) {
		s.signal(syscall.SIGSTOP)
		defer s.signal(syscall.SIGCONT)
		start := time.Now()
		got := probe(t, kind, target, o, 300*time.Millisecond)
		if took := time.Since(start); got.Class != healthd.TimedOut || got.Detail != "no answer in time" || took > 2*time.Second {
			t.Errorf("got %s: %q after %s, want a timeout", got.Class, got.Detail, took)
		}
	})
}

// judgeStrangers points the check at what is no such server: a closed port, one that speaks another protocol, one that says nothing
// and closes, and one that hangs.
func judgeStrangers(t *testing.T, kind string, target func(address string) string, o options) {
	t.Helper()
	free := net.JoinHostPort("127.0.0.1", strconv.Itoa(peertest.Port(t)))
	greet := func(text string) string {
		return stranger(t, func(c net.Conn) { _, _ = c.Write([]byte(text)); _, _ = c.Read(make([]byte, 4096)) })
	}
	for name, row := range map[string]struct {
		address string
		timeout time.Duration
		class   healthd.Class
	}{
		"down":             {free, 5 * time.Second, healthd.Refused},
		"ssh":              {greet("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), 5 * time.Second, healthd.WrongAnswer},
		"http":             {greet("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), 5 * time.Second, healthd.WrongAnswer},
		"binary":           {greet("\x00\x00\x00\x04\xff\xfe\x01\x02"), 300 * time.Millisecond, 0},
		"endless":          {stranger(t, endless), 5 * time.Second, healthd.WrongAnswer},
		"says nothing":     {stranger(t, leaves), 5 * time.Second, healthd.WrongAnswer},
		"hangs":            {stranger(t, hangs), 300 * time.Millisecond, healthd.TimedOut},
		"metadata address": {"169.254.169.254:80", 5 * time.Second, healthd.OwnFault},
		"unknown name":     {"no-such-name.invalid:5432", 5 * time.Second, healthd.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(kind, []string{target(row.address)}, o)
			if err != nil {
				if row.class == healthd.OwnFault { // refused before it was ever probed
					return
				}
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), row.timeout)
			defer cancel()
			start := time.Now()
			got := p(ctx)
			if took := time.Since(start); took > row.timeout+2*time.Second {
				t.Errorf("took %s", took)
			}
			if row.class == 0 && name == "binary" { // whether more is awaited is the protocol's matter
				if got.Class != healthd.WrongAnswer && got.Class != healthd.TimedOut {
					t.Errorf("got %s: %q", got.Class, got.Detail)
				}
			} else if got.Class != row.class && !(name == "unknown name" && got.Class == healthd.OwnFault) { // no resolver here to say that there is none
				t.Errorf("got %s: %q, want %s", got.Class, got.Detail, row.class)
			}
			if strings.Contains(got.Detail, planted) {
				t.Errorf("the detail shows the password: %q", got.Detail)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		p, err := New(kind, []string{target(stranger(t, hangs))}, o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		time.AfterFunc(50*time.Millisecond, cancel)
		if got := p(ctx); got.Class != healthd.OwnFault {
			t.Errorf("got %s: %q, want an own fault", got.Class, got.Detail)
		}
	})
}

// leaves hears what is said at once, if anything, and closes.
func leaves(c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, _ = c.Read(make([]byte, 4096))
}

func hangs(c net.Conn) {
	for _, err := c.Read(make([]byte, 4096)); err == nil; _, err = c.Read(make([]byte, 4096)) {
	}
}

func endless(c net.Conn) {
	chunk := bytes.Repeat([]byte{'-'}, 64<<10)
	for _, err := c.Write(chunk); err == nil; _, err = c.Write(chunk) {
	}
}

// stranger accepts on a port of its own and hands each connection to talk, until the test ends.
func stranger(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			all.Go(func() { talk(c); _ = c.Close() })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().String()
}

// syncBuffer keeps what a server wrote.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len() < 1<<20 {
		b.buf.Write(p)
	}
	return len(p), nil
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// tail is the end of it, which tells most.
func (b *syncBuffer) tail() string {
	text := b.String()
	return text[max(0, len(text)-3000):]
}
