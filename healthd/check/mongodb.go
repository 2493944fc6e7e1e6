//go:build !lite

package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	settings "go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/lbmedic/lbmedic/healthd"
)

// mongodbKind asks one member of a replica set, or a mongos, for hello, over a connection of its own. Debian carries no mongod: the tests
// play its side of the wire protocol.
var mongodbKind = Kind{
	Doc: "a mongodb member lets the user in, says hello and is fit to serve: a primary, a secondary or a mongos, by role if that is set" +
		" (the tests play the server's part of its protocol, for Debian carries none)",
	Target:      Option{Doc: "mongodb:// URL of one member; TLS and login as in the driver's options", Type: Text, Secret: true},
	Measurement: "responseTime",
	Example:     `{mongodb: "mongodb://probe@127.0.0.1:27017/?authSource=admin", role: primary}`,
	Options: []Option{
		{Key: "role", Doc: "what it must be", Type: Word, Words: []string{"primary", "secondary"}},
	},
	New: func(s Settings) (Probe, error) {
		m := mongodb{target: s.Target(), role: s.Text("role")}
		config, err := m.options()
		if err != nil {
			return nil, KeyError{"", err}
		}
		if address := config.Hosts[0]; !strings.Contains(address, "/") {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				host, port = strings.Trim(address, "[]"), "27017"
			}
			if err := validateHostPort(host, port); err != nil {
				return nil, KeyError{"", err}
			}
		}
		return m.probe, nil
	},
}

type mongodb struct{ target, role string }

// mongoFetched are the mechanisms whose credentials the driver fetches over HTTP by a client of its own, past our dialer: with
// v2.10 both were seen to ask 169.254.169.254.
var mongoFetched = []string{"MONGODB-AWS", "MONGODB-OIDC"}

// options reads the URL anew for each probe, for the files it names may have changed. Its errors show nothing of it.
func (m mongodb) options() (*settings.ClientOptions, error) {
	if strings.HasPrefix(m.target, "mongodb+srv:") {
		return nil, errors.New("names members through DNS; a check asks one member, so name it: mongodb://host:27017")
	}
	config := settings.Client().ApplyURI(m.target)
	if config.Auth != nil && slices.ContainsFunc(mongoFetched, func(name string) bool { return strings.EqualFold(name, config.Auth.AuthMechanism) }) {
		return nil, fmt.Errorf("asks for the mechanism %s, whose credentials the driver takes from the metadata address of a cloud, which no check may reach; use a password or a certificate", config.Auth.AuthMechanism)
	}
	if config.Validate() != nil || len(config.Hosts) == 0 {
		return nil, errors.New("is no url such as mongodb://user:password@127.0.0.1:27017/?authSource=admin, or a file that it names cannot be read")
	}
	if len(config.Hosts) > 1 {
		return nil, errors.New("names several members; a check asks one, so that it can tell which is ill")
	}
	return config.SetDirect(true).SetAppName("lbmedic").SetMaxPoolSize(1).SetMinPoolSize(0).SetCompressors(nil).SetRetryReads(false).
		SetServerMonitoringMode(settings.ServerMonitoringModePoll).SetDisableOCSPEndpointCheck(true), nil
}

func (m mongodb) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	w := newWire(ctx)
	defer w.cut()
	config, err := m.options()
	if err != nil {
		return healthd.NewOutcome(start, time.Since(start), healthd.OwnFault, "a file that the url names cannot be read")
	}
	hello, err := m.ask(ctx, w, config)
	if err != nil {
		return w.failed(start, "no mongodb answer", err)
	}
	class, detail := m.judge(hello)
	return healthd.NewOutcome(start, time.Since(start), class, detail)
}

// mongoHello is what matters here of the answer to hello.
type mongoHello struct {
	Primary   bool   `bson:"isWritablePrimary"`
	Secondary bool   `bson:"secondary"`
	Arbiter   bool   `bson:"arbiterOnly"`
	Set       string `bson:"setName"`
	Message   string `bson:"msg"`
}

// ask makes a client and ends it. The driver would try a server that refuses again until the deadline: the first failure of its own
// hello ends the probe.
func (m mongodb) ask(ctx context.Context, w *wire, config *settings.ClientOptions) (hello mongoHello, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	var failure error
	config.SetDialer(wireDialer{w}).SetServerMonitor(&event.ServerMonitor{ServerHeartbeatFailed: func(e *event.ServerHeartbeatFailedEvent) {
		mu.Lock()
		defer mu.Unlock()
		if failure == nil {
			failure = e.Failure
		}
		stop()
	}})
	client, err := mongo.Connect(config)
	if err != nil {
		return hello, err
	}
	err = client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	mu.Lock()
	if err != nil && failure != nil {
		err = failure
	}
	mu.Unlock()
	goodbye, done := context.WithTimeout(context.WithoutCancel(ctx), parting)
	defer done()
	_ = client.Disconnect(goodbye) // the answer is known by now
	return hello, mongoError(err)
}

// wireDialer is the driver's idea of a dialer.
type wireDialer struct{ w *wire }

// DialContext is the wire's dial.
func (d wireDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.w.dial(ctx, network, address)
}

// mongoError makes what the server said a wrong answer.
func mongoError(err error) error {
	if said, ok := errors.AsType[mongo.CommandError](err); ok && said.Code != 0 {
		return wrongAnswer(fmt.Sprintf("%s (code %d)", said.Message, said.Code))
	}
	if err != nil && strings.Contains(err.Error(), "AuthenticationFailed") { // the driver keeps the command's error to itself
		return wrongAnswer("authentication failed")
	}
	return err
}

func (m mongodb) judge(hello mongoHello) (healthd.Class, string) {
	state := "" // of a member that can do nothing for a client: starting, recovering, removed
	switch {
	case hello.Message == "isdbgrid":
		state = "mongos"
	case hello.Primary && hello.Set == "":
		state = "standalone"
	case hello.Primary:
		state = "primary"
	case hello.Secondary:
		state = "secondary"
	case hello.Arbiter:
		state = "arbiter"
	}
	text := "state " + state
	if hello.Set != "" {
		text += " of set " + hello.Set
	}
	switch {
	case state == "":
		return healthd.WrongAnswer, "neither primary nor secondary: starting, recovering or removed from its set"
	case state == "arbiter" && m.role == "":
		return healthd.WrongAnswer, text + ", which holds no data"
	case m.role == "primary" && hello.Primary, m.role == "secondary" && hello.Secondary, m.role == "":
		return healthd.OK, text
	}
	return healthd.WrongAnswer, text + ", expected " + m.role
}
