package daemon

import (
	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
)

// notify tells systemd how far the process is, where systemd asked for it ($NOTIFY_SOCKET).
func notify(log *zap.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("tell systemd", zap.String("state", state), zap.Error(err))
	}
}
