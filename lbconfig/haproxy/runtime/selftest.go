package runtime

import (
	"context"
	"fmt"
	"strings"
)

// Access is what a socket lets us do.
type Access struct {
	Info     Info
	Level    string // "admin", "operator" or "user"
	Admin    bool   // commands that change servers are taken
	Warnings []Warning
}

// SelfTest finds out whether the socket can be read and whether it takes commands, and changes nothing. It asks
// `show cli level`, and sends `set server` without arguments: a socket of admin level asks for the backend and server, any lower one
// says `Permission denied`. Below admin level the error matches ErrLevel and Access says what works.
func (c *Client) SelfTest(ctx context.Context) (Access, error) {
	var access Access
	var err error
	if access.Warnings, err = c.Warnings(); err != nil {
		return access, err
	}
	t, info, closeConn, err := c.open(ctx)
	access.Info = info
	if err != nil {
		return access, err
	}
	defer closeConn()
	if err := t.probe(&access); err != nil {
		return access, fmt.Errorf("ask %s for its level: %w", c.settings.Address, stopped(ctx, err))
	}
	return access, nil
}

func (t *talk) probe(access *Access) error {
	if err := t.send(ShowLevel.String(), SetServer.String()); err != nil {
		return err
	}
	level, err := t.answer()
	if err != nil {
		return err
	}
	probe, err := t.answer()
	if err != nil {
		return err
	}
	_, access.Level, _ = cutSeverity(level)
	_, words, _ := cutSeverity(probe)
	access.Admin = access.Level == "admin" && strings.HasPrefix(words, "Require ")
	switch {
	case access.Admin:
		return nil
	case strings.Contains(words, "Permission denied"):
		return fmt.Errorf("its level is %s: %w", access.Level, said(words))
	default:
		return newFault(ErrNotHAProxy, nil, "expected a question for the backend and server, got %s", quote([]byte(probe)))
	}
}
