package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// Master speaks to the socket of a HAProxy master (option -S), which reaches every worker, old ones too. Whoever may
// open that socket has admin level on all of them.
type Master struct {
	client *Client
}

// NewMaster returns a client of a master socket. It does not connect.
func NewMaster(s Settings) *Master { return &Master{client: New(s)} }

// Warnings looks at the socket as Client.Warnings does. HAProxy itself makes the master socket open to all who may
// enter its folder unless `-S PATH,mode,600` says otherwise.
func (m *Master) Warnings(owners ...uint32) ([]Warning, error) { return m.client.Warnings(owners...) }

// Processes asks `show proc`.
func (m *Master) Processes(ctx context.Context) (Processes, error) {
	var all Processes
	err := m.ask(ctx, func(s *scratch) (err error) {
		all, err = readProcesses(&s.lines)
		return err
	}, "show proc")
	return all, err
}

// Worker asks one worker, current or old, how it is. The error matches ErrUnknown once that process has ended.
func (m *Master) Worker(ctx context.Context, pid int) (Info, error) {
	return m.Read(ctx, pid)
}

// Read asks one worker the queries behind `show info`, as Client.Read does. Each command carries the worker's prefix,
// since a prefix holds for one command only and the next would be the master's.
func (m *Master) Read(ctx context.Context, pid int, queries ...Query) (Info, error) {
	if pid <= 0 {
		return Info{}, newFault(ErrName, nil, "%d is no process id", pid)
	}
	prefix := fmt.Sprintf("@!%d ", pid)
	requests := []string{prefix + "show info"}
	for _, q := range queries {
		line, err := q.command.Encode()
		if err != nil {
			return Info{}, err
		}
		requests = append(requests, prefix+line)
	}
	var info Info
	err := m.ask(ctx, func(s *scratch) (err error) {
		if info, err = readInfo(&s.lines); err != nil {
			return err
		}
		if info.PID != pid {
			return newFault(ErrGeneration, nil, "pid %d answers where pid %d was asked", info.PID, pid)
		}
		for _, q := range queries {
			if err := q.read(s); err != nil {
				return err
			}
		}
		return nil
	}, requests...)
	return info, err
}

// ask sends one batch, half-closes the connection (the master keeps it open otherwise) and reads up to its end.
func (m *Master) ask(ctx context.Context, read func(*scratch) error, requests ...string) error {
	c := m.client
	line := strings.Join(requests, ";")
	conn, closeConn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn()
	if err := sendAll(conn, line+"\n"); err != nil {
		return fmt.Errorf("ask %s: %w", c.settings.Address, err)
	}
	s := c.take()
	defer c.give(s)
	s.lines.reset(conn, c.settings.MaxReply)
	err = read(s)
	if err == nil {
		switch rest, endErr := s.lines.next(); {
		case endErr == nil:
			err = newFault(ErrNotHAProxy, nil, "more came than was asked for: %s", quote(rest))
		case endErr != io.EOF:
			err = endErr
		}
	}
	if err != nil {
		return fmt.Errorf("read `%s` from %s: %w", line, c.settings.Address, stopped(ctx, err))
	}
	return nil
}

func sendAll(conn net.Conn, request string) error {
	if _, err := conn.Write([]byte(request)); err != nil {
		return writeFault(err)
	}
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	if err := half.CloseWrite(); err != nil {
		return writeFault(err)
	}
	return nil
}

// Reloaded is what the master said to `reload`.
type Reloaded struct {
	Answered bool     // from 3.0 the master answers once the new worker is up or has failed; before, it says nothing
	Success  bool     // only where Answered
	Log      []string // the lines that master and new worker wrote meanwhile, at most 200
}

// Reload asks the master to read its config again. Where Answered is false nothing is known of how it went: prove it by
// a new worker in Processes. A master that re-executes itself may end the connection without a word, on any version.
func (m *Master) Reload(ctx context.Context) (Reloaded, error) {
	c := m.client
	conn, closeConn, err := c.connect(ctx)
	if err != nil {
		return Reloaded{}, err
	}
	defer closeConn()
	if err := sendAll(conn, "reload\n"); err != nil {
		return Reloaded{}, fmt.Errorf("reload through %s: %w", c.settings.Address, err)
	}
	result, err := readReload(newLines(conn, 1<<20))
	if err != nil {
		return result, fmt.Errorf("reload through %s: %w", c.settings.Address, stopped(ctx, err))
	}
	return result, nil
}

// ParseReload reads what the master said to `reload`.
func ParseReload(r io.Reader) (Reloaded, error) { return readReload(newLines(r, 1<<20)) }

func readReload(l *lines) (Reloaded, error) {
	line, err := l.next()
	switch {
	case err == io.EOF:
		return Reloaded{}, nil
	case errors.Is(err, ErrTruncated) && l.total == 0: // the old master's end was reset while it re-executed itself
		return Reloaded{}, nil
	case err != nil:
		return Reloaded{}, err
	}
	if words, isError := errorLine(line); isError {
		return Reloaded{}, said(words)
	}
	var result Reloaded
	switch string(line) {
	case "Success=1":
		result = Reloaded{Answered: true, Success: true}
	case "Success=0":
		result = Reloaded{Answered: true}
	case "":
		return Reloaded{}, nil
	default:
		return Reloaded{}, newFault(ErrNotHAProxy, nil, "expected Success=0 or Success=1, got %s", quote(line))
	}
	for {
		line, err := l.next()
		switch {
		case err == io.EOF:
			return result, nil
		case err != nil:
			return result, nil // the verdict stands; the log is for people
		case len(line) > 0 && string(line) != "--" && len(result.Log) < 200:
			result.Log = append(result.Log, oneLine(string(line)))
		}
	}
}
