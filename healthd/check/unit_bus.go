package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/godbus/dbus/v5"

	"github.com/lbmedic/lbmedic/healthd"
)

const (
	systemdName = "org.freedesktop.systemd1"
	systemdPath = "/org/freedesktop/systemd1"
)

// busPath reads the D-Bus address of a unix socket, unix:path=/run/dbus/system_bus_socket or unix:abstract=name, as the path to dial. Other
// transports are refused: tcp would lead anywhere, and unixexec runs a program.
func busPath(address string) (string, error) {
	refused := fmt.Errorf("%q is neither unix:path=/… nor unix:abstract=…", healthd.Line(address, 80))
	if path, ok := strings.CutPrefix(address, "unix:path=/"); ok && !strings.ContainsAny(path, ",;%\x00") && len(path) < maxSocketPath {
		return "/" + path, nil
	}
	if name, ok := strings.CutPrefix(address, "unix:abstract="); ok && name != "" && !strings.ContainsAny(name, ",;%\x00") && len(name) < maxSocketPath {
		return "@" + name, nil
	}
	return "", refused
}

// maxSocketPath is that of unix(7).
const maxSocketPath = 108

// askSystemd asks for the state of a unit over a fresh connection. Names that no unit has are units too, which are not loaded.
func askSystemd(ctx context.Context, bus, unit string) (u unitState, err error) {
	amiss := func(err error) error { return busError(bus, errors.Join(ctx.Err(), err)) } // of a connection that ctx closed, any error may come
	path, err := busPath(bus)
	if err != nil {
		return u, err
	}
	raw, err := dialUnix(ctx, path)
	if err != nil {
		return u, amiss(err)
	}
	conn, err := dbus.NewConn(raw, dbus.WithContext(ctx))
	if err != nil {
		return u, amiss(errors.Join(err, raw.Close()))
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the handshake takes no ctx
	defer func() {
		stop()
		_ = conn.Close() // whatever comes of it, all was said
	}()
	if err := conn.Auth(nil); err != nil {
		return u, amiss(err)
	}
	if err := conn.Hello(); err != nil {
		return u, amiss(err)
	}
	var found dbus.ObjectPath
	manager := conn.Object(systemdName, systemdPath)
	if err := manager.CallWithContext(ctx, systemdName+".Manager.LoadUnit", dbus.FlagNoAutoStart, unit).Store(&found); err != nil {
		return u, amiss(err)
	}
	object := conn.Object(systemdName, found)
	all := map[string]dbus.Variant{}
	if err := object.CallWithContext(ctx, "org.freedesktop.DBus.Properties.GetAll", dbus.FlagNoAutoStart, systemdName+".Unit").Store(&all); err != nil {
		return u, amiss(err)
	}
	for name, to := range map[string]*string{"LoadState": &u.load, "ActiveState": &u.active, "SubState": &u.sub} {
		text, ok := all[name].Value().(string)
		if !ok {
			return u, fmt.Errorf("its answer has no %s", name)
		}
		*to = text
	}
	service := map[string]dbus.Variant{}
	err = object.CallWithContext(ctx, "org.freedesktop.DBus.Properties.GetAll", dbus.FlagNoAutoStart, systemdName+".Service").Store(&service)
	if refused, ok := errors.AsType[dbus.Error](err); ok && ctx.Err() == nil && refused.Name != "org.freedesktop.DBus.Error.NoReply" {
		return u, nil // a unit of another type has no such interface
	}
	if err != nil {
		return u, amiss(err)
	}
	u.result, _ = service["Result"].Value().(string)
	restarts, ok := service["NRestarts"].Value().(uint32) // since systemd 235
	u.restarts, u.isService = uint64(restarts), ok
	return u, nil
}

// busError says what a host lacks.
func busError(bus string, err error) error {
	refused, isReply := errors.AsType[dbus.Error](err)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("there is no D-Bus at %s; a check of a unit is of use where systemd runs", bus)
	case isTimeout(err):
		return fmt.Errorf("the D-Bus at %s did not answer in time", bus)
	case isReply && (refused.Name == "org.freedesktop.DBus.Error.ServiceUnknown" || refused.Name == "org.freedesktop.DBus.Error.NameHasNoOwner"):
		return fmt.Errorf("systemd is not on the D-Bus at %s", bus)
	case isReply:
		return fmt.Errorf("%s: %w", refused.Name, err)
	}
	return err
}
