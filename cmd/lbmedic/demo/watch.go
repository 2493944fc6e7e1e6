package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/lbmedic/lbmedic/healthd"
)

// tellSighting puts what HAProxy shows into the timeline.
func (s *stage) tellSighting(c Sighting) {
	if c.Before.At.IsZero() { // the first look
		return
	}
	how := plain
	text := fmt.Sprintf("%s: %s → %s", c.Server, c.Before.State, c.State)
	switch {
	case c.Before.Routing && !c.Routing:
		how, text = bad, text+", gets no new requests"
	case !c.Before.Routing && c.Routing:
		how, text = good, text+", gets requests"
	}
	s.line.tell(c.At, "haproxy", how, "%s", text)
}

// tellWord puts what a sidecar holds into the timeline.
func (s *stage) tellWord(w Word, output string) {
	how, text := good, w.Server+": its checks pass"
	if w.Status != "pass" {
		how, text = bad, fmt.Sprintf("%s: the check that reached fall has ended: %s", w.Server, output)
	}
	s.line.tell(w.At, "sidecar", how, "%s", text)
}

// hears is nil once the controller has an answer of every app's sidecar. It is asked through its admin socket.
func (s *stage) hears(ctx context.Context) error {
	if err := s.controller.alive(); err != nil {
		return err
	}
	status, err := s.admin.Status(ctx)
	if err != nil {
		return err
	}
	heard := 0
	var missing []string
	for _, b := range status.Balancers {
		if b.Error != "" || b.Read.IsZero() {
			return fmt.Errorf("it has not read balancer %s yet: %s", b.Balancer, b.Error)
		}
		for _, row := range b.Servers {
			switch {
			case b.Balancer != balancer:
			case row.Evidence.Status == healthd.Pass:
				heard++
			default:
				missing = append(missing, fmt.Sprintf("%s/%s: %s %s", b.Balancer, row.Server, row.Evidence.Status, row.Evidence.Detail))
			}
		}
	}
	if heard < len(appNames) {
		return fmt.Errorf("%d of %d apps are known to pass: %s", heard, len(appNames), strings.Join(missing, "; "))
	}
	return nil
}

// askNginx asks for one answer through nginx and says which nginx it is.
func (s *stage) askNginx(ctx context.Context) (version, by string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.layout.nginx+"/", nil)
	if err != nil {
		return "", "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", "", errors.New("nginx answers " + resp.Status)
	}
	return strings.TrimPrefix(resp.Header.Get("Server"), "nginx/"), resp.Header.Get(appHeader), nil
}

// tell is about this moment.
func (s *stage) tell(who string, how tone, format string, args ...any) {
	s.line.tell(time.Now(), who, how, format, args...)
}
