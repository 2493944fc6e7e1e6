package daemon

import (
	"cmp"
	"path/filepath"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/config"
	"github.com/lbmedic/lbmedic/lbconfig/nginx"
	"github.com/lbmedic/lbmedic/remediate/control"
)

// debianPID is where Debian's nginx keeps its pid file when neither our configuration nor its own names one.
const debianPID = "/run/nginx.pid"

func newNginx(b config.Balancer) *control.Nginx {
	i := &nginx.Instance{Validator: nginx.Validator{Program: b.Nginx.Program, Prefix: b.Nginx.Prefix, Conf: b.Nginx.Config}}
	if !filepath.IsAbs(i.Conf) {
		i.Conf = filepath.Join(i.Prefix, i.Conf)
	}
	meaning := i.Load().Meaning()
	i.PIDFile = cmp.Or(b.Nginx.PID, meaning.PIDFile, debianPID)
	if !filepath.IsAbs(i.PIDFile) {
		i.PIDFile = filepath.Join(i.Prefix, i.PIDFile)
	}
	if filepath.IsAbs(meaning.ErrorLog) {
		i.LogFile = meaning.ErrorLog
	}
	return &control.Nginx{Instance: i, Edit: b.Nginx.Edit}
}
