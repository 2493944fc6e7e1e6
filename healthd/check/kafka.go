//go:build !lite

package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/lbmedic/lbmedic/healthd"
)

// kafkaKind asks one broker for metadata, which it has of the whole cluster, and creates no topic by asking for it. Debian carries no
// Kafka: the tests ask kfake, the broker that franz-go makes for tests.
var kafkaKind = Kind{
	Doc: "a kafka broker tells the cluster's metadata: enough brokers are alive and a topic's partitions have leaders, where these are set; it warns" +
		" of replicas that are not in sync (tested against kfake, for Debian carries no broker)",
	Target:      Option{Doc: "host:port of one broker", Type: HostPort},
	Measurement: "responseTime",
	Example:     `{kafka: 127.0.0.1:9092, brokers: 3, topic: orders}`,
	Options: slices.Concat([]Option{
		{Key: "brokers", Doc: "how many brokers must be alive at least", Type: Int, Min: 1, Max: 10000},
		{Key: "topic", Doc: "topic whose every partition must have a leader", Type: Text},
		{Key: "username", Doc: "user to log in as by SASL", Type: Text},
		{Key: "password", Doc: "password of that user", Type: Text, Secret: true},
		{Key: "mechanism", Doc: "SASL mechanism; plain unless set", Type: Word, Words: []string{"plain", "scram-sha-256", "scram-sha-512"}},
		tlsOption,
	}, tlsOptions),
	New: func(s Settings) (Probe, error) {
		k := kafka{address: s.Target(), brokers: s.Int("brokers"), topic: s.Text("topic"), username: s.Text("username"), password: s.Text("password"), mechanism: s.Text("mechanism")}
		secure, errTLS := optionalTLS(s)
		k.secure = secure
		err := validateAddress(k.address)
		if err != nil {
			err = KeyError{"", err}
		}
		if (k.username == "") != (k.password == "") {
			err = errors.Join(err, KeyError{"username", errors.New("username and password go together; give both or none")})
		}
		if k.mechanism != "" && k.username == "" {
			err = errors.Join(err, KeyError{"mechanism", errors.New("does nothing without username and password; give them, or remove it")})
		}
		if err := errors.Join(err, errTLS); err != nil {
			return nil, err
		}
		return k.probe, nil
	},
}

type kafka struct {
	address                       string
	brokers                       int // at least; 0: any
	topic                         string
	username, password, mechanism string // mechanism empty: plain
	secure                        *tlsClient
}

func (k kafka) probe(ctx context.Context) healthd.Outcome {
	start := time.Now()
	w := newWire(ctx)
	defer w.cut()
	told, err := k.ask(ctx, w)
	if err != nil {
		return w.failed(start, "no kafka answer", kafkaError(err))
	}
	class, detail := k.judge(told)
	return healthd.NewOutcome(start, time.Since(start), class, detail)
}

func (k kafka) ask(ctx context.Context, w *wire) (*kmsg.MetadataResponse, error) {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := w.dial(ctx, network, address)
		if err != nil || k.secure == nil {
			return conn, err
		}
		host, _, _ := net.SplitHostPort(address)
		secure, err := k.secure.handshake(ctx, conn, host)
		if err != nil {
			return nil, w.note(err)
		}
		return secure, nil
	}
	options := []kgo.Opt{kgo.SeedBrokers(k.address), kgo.Dialer(dial), kgo.ClientID("lbmedic"), kgo.RequestRetries(0), kgo.DisableClientMetrics(),
		kgo.BrokerMaxReadBytes(maxMessage), kgo.FetchMaxBytes(maxMessage), kgo.FetchMaxPartitionBytes(maxMessage)}
	if k.username != "" {
		options = append(options, kgo.SASL(k.login()))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	request := kmsg.NewPtrMetadataRequest()
	request.Topics = []kmsg.MetadataRequestTopic{} // none; nil would be all
	request.AllowAutoTopicCreation = false
	if k.topic != "" {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &k.topic
		request.Topics = append(request.Topics, topic)
	}
	answer, err := client.SeedBrokers()[0].Request(ctx, request)
	if err != nil {
		return nil, err
	}
	told, ok := answer.(*kmsg.MetadataResponse)
	if !ok {
		return nil, errors.New("it answered another request than for metadata")
	}
	return told, nil
}

func (k kafka) login() sasl.Mechanism {
	switch k.mechanism {
	case "scram-sha-256":
		return scram.Auth{User: k.username, Pass: k.password}.AsSha256Mechanism()
	case "scram-sha-512":
		return scram.Auth{User: k.username, Pass: k.password}.AsSha512Mechanism()
	}
	return plain.Auth{User: k.username, Pass: k.password}.AsMechanism()
}

// kafkaError makes what the broker said a wrong answer.
func kafkaError(err error) error {
	if said, ok := errors.AsType[*kerr.Error](err); ok {
		return wrongAnswer(said.Message + ": " + said.Description)
	}
	return err
}

func (k kafka) judge(told *kmsg.MetadataResponse) (healthd.Class, string) {
	words := []string{fmt.Sprintf("%d brokers", len(told.Brokers))}
	switch { // a broker cut off from its cluster still answers
	case len(told.Brokers) == 0:
		return healthd.WrongAnswer, "it knows of no broker that is alive"
	case told.Version > 0 && told.ControllerID < 0: // version 0 tells none
		return healthd.WrongAnswer, words[0] + ", but no controller"
	}
	if len(told.Brokers) < k.brokers {
		return healthd.WrongAnswer, fmt.Sprintf("%d brokers, at least %d", len(told.Brokers), k.brokers)
	}
	if k.topic == "" {
		return healthd.OK, words[0]
	}
	if len(told.Topics) != 1 {
		return healthd.WrongAnswer, "it told nothing of topic " + k.topic
	}
	topic := told.Topics[0]
	if err := kerr.TypedErrorForCode(topic.ErrorCode); err != nil {
		return healthd.WrongAnswer, fmt.Sprintf("topic %s: %s", k.topic, err.Message)
	}
	leaderless, behind := 0, 0
	for _, p := range topic.Partitions {
		if p.Leader < 0 {
			leaderless++
		}
		if len(p.ISR) < len(p.Replicas) || len(p.OfflineReplicas) > 0 {
			behind++
		}
	}
	words = append(words, fmt.Sprintf("topic %s of %d partitions", k.topic, len(topic.Partitions)))
	class := healthd.OK
	if behind > 0 {
		class = healthd.Degraded
		words = append(words, fmt.Sprintf("%d under-replicated", behind))
	}
	if leaderless > 0 || len(topic.Partitions) == 0 {
		class = healthd.WrongAnswer
		words = append(words, fmt.Sprintf("%d without a leader", leaderless))
	}
	return class, strings.Join(words, ", ")
}
