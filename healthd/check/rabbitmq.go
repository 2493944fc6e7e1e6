//go:build !lite

package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/lbmedic/lbmedic/healthd"
)

// rabbitmqKind opens a connection and a channel on it, which takes a user, a virtual host and a node that is no mere listener.
var rabbitmqKind = Kind{
	Doc:         "rabbitmq lets the user in and opens a channel; no alarm of memory or disk blocks publishers, where the management API is named",
	Target:      Option{Doc: "amqp:// or amqps:// URL with user, password and virtual host", Type: Text, Secret: true},
	Measurement: "responseTime",
	Example:     `{rabbitmq: "amqp://probe@127.0.0.1:5672/", alarms: "http://probe@127.0.0.1:15672"}`,
	Options: slices.Concat([]Option{
		{Key: "alarms", Doc: "URL of the management API, with a user that has the tag monitoring; it is asked for alarms of the whole cluster", Type: URL, Secret: true},
	}, tlsOptions),
	New: newRabbitMQ,
}

type rabbitmq struct {
	uri    amqp.URI
	alarms *url.URL // nil: not asked
	secure *tlsClient
}

func newRabbitMQ(s Settings) (Probe, error) {
	uri, err := amqp.ParseURI(s.Target())
	switch {
	case err != nil: // the driver's error may show a part of the password
		err = KeyError{"", errors.New("is no url such as amqp://user:password@127.0.0.1:5672/vhost")}
	default:
		if err = validateHostPort(uri.Host, strconv.Itoa(uri.Port)); err != nil {
			err = KeyError{"", err}
		}
	}
	r := rabbitmq{uri: uri}
	secure, errTLS := tlsConfig(s)
	r.secure = secure
	var errAlarms error
	if text := s.Text("alarms"); text != "" {
		if r.alarms, errAlarms = apiTarget(text); errAlarms != nil {
			errAlarms = KeyError{"alarms", errAlarms}
		}
	}
	if err == nil && errAlarms == nil {
		errTLS = errors.Join(errTLS, needlessTLS(s, uri.Scheme == "amqps" || r.alarms != nil && r.alarms.Scheme == "https"))
	}
	if err := errors.Join(err, errTLS, errAlarms); err != nil {
		return nil, err
	}
	return r.probe, nil
}

func (r rabbitmq) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	w := newWire(ctx)
	w.deaf = true
	if r.uri.Scheme != "amqps" {
		w.greeting = amqpGreeting
	}
	defer w.cut()
	if err := r.open(ctx, w); err != nil {
		return w.failed(start, "no amqp answer", err)
	}
	detail := "channel opened"
	if r.alarms != nil {
		status, body, err := fetch(ctx, r.alarms.JoinPath("api/health/checks/alarms"), r.secure)
		if err == nil {
			err = rabbitmqAlarms(status, body)
		}
		if err != nil {
			return failed(ctx, start, "no answer of the management api", err)
		}
		detail += ", no alarms"
	}
	return passed(start, detail)
}

// open connects, opens a channel and says goodbye.
func (r rabbitmq) open(ctx context.Context, w *wire) error {
	conn, err := w.dial(ctx, "tcp", net.JoinHostPort(r.uri.Host, strconv.Itoa(r.uri.Port)))
	if err != nil {
		return err
	}
	if r.uri.Scheme == "amqps" {
		if conn, err = r.secure.handshake(ctx, conn, r.uri.Host); err != nil {
			return err
		}
	}
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName("lbmedic")
	opened, err := amqp.Open(conn, amqp.Config{SASL: []amqp.Authentication{r.uri.PlainAuth()}, Vhost: r.uri.Vhost, Locale: "en_US", Properties: properties,
		FrameSize: 128 << 10, Heartbeat: 10 * time.Second})
	if err != nil {
		return w.amqpError(err)
	}
	defer func() { _ = opened.Close() }() // the answer is known by now
	channel, err := opened.Channel()
	if err != nil {
		return w.amqpError(err)
	}
	_ = channel.Close() // a connection closed with a channel open leaves an error in the server's log
	return nil
}

// amqpError makes what the server said a wrong answer. A server that takes no such user may only close the connection, after a
// pause (https://www.rabbitmq.com/docs/auth-notification).
func (w *wire) amqpError(err error) error {
	said, ok := errors.AsType[*amqp.Error](err)
	w.mu.Lock()
	met := w.met
	w.mu.Unlock()
	switch {
	case w.ctx.Err() != nil || !ok:
		return err
	case said.Server:
		return wrongAnswer(fmt.Sprintf("%s (code %d)", said.Reason, said.Code))
	case met == nil:
		return wrongAnswer(said.Reason)
	case (errors.Is(err, amqp.ErrCredentials) || errors.Is(err, amqp.ErrVhost)) && (errors.Is(met, io.EOF) || errors.Is(met, syscall.ECONNRESET)):
		return wrongAnswer("the connection was closed at login: " + said.Reason)
	}
	return err
}

// amqpGreeting refuses what is no method frame of channel 0. A server of another version says AMQP and which.
func amqpGreeting(first []byte) error {
	if len(first) >= 3 && (first[0] != 1 || first[1] != 0 || first[2] != 0) {
		return fmt.Errorf("it said %q", healthd.Line(string(first), 60))
	}
	return nil
}

// rabbitmqAlarms reads the answer of the management API: 200, or 503 with a reason.
func rabbitmqAlarms(status int, body []byte) error {
	var said struct {
		Status string `json:"status"`
		Reason string `json:"reason"`
		Alarms []struct {
			Node     string `json:"node"`
			Resource string `json:"resource"`
		} `json:"alarms"`
	}
	err := json.Unmarshal(body, &said)
	switch {
	case status == 401:
		return wrongAnswer("management api: status 401, the user is not let in or lacks the tag monitoring")
	case err == nil && status == 200 && said.Status == "ok":
		return nil
	case err == nil && len(said.Alarms) > 0:
		return wrongAnswer(fmt.Sprintf("alarm of %s on %s, publishers are blocked", said.Alarms[0].Resource, said.Alarms[0].Node))
	case err == nil && said.Reason != "":
		return wrongAnswer(fmt.Sprintf("management api: status %d: %s", status, said.Reason))
	}
	return wrongAnswer(fmt.Sprintf("management api: status %d, but not the words of rabbitmq", status))
}
