package admin

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/lbmedic/lbmedic/healthd"
)

type operatorKey struct{}

// withOperator keeps who connected, as the kernel tells it: nothing in a request can claim another name.
func withOperator(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, operatorKey{}, operatorOf(c))
}

// operator is who sent a request.
func operator(r *http.Request) string {
	if name, ok := r.Context().Value(operatorKey{}).(string); ok {
		return name
	}
	return "somebody"
}

func operatorOf(c net.Conn) string {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return "somebody"
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return "somebody"
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil || credErr != nil {
		return "somebody"
	}
	return Name(int(cred.Uid))
}

// Name is how an operator is written down: "alice (uid 1000)", or "uid 1000" where the host knows no name.
func Name(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil && u.Username != "" {
		return fmt.Sprintf("%s (uid %s)", healthd.Line(u.Username, 64), id)
	}
	return "uid " + id
}
