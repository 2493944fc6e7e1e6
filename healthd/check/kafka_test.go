//go:build !lite

package check

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/lbmedic/lbmedic/healthd"
)

func fakeKafka(t *testing.T, o ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(o...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestKafkaAgainstAFakeCluster(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "kafka authority")
	open := fakeKafka(t, kfake.NumBrokers(3), kfake.SeedTopics(4, "orders"), kfake.AllowAutoTopicCreation())
	guarded := fakeKafka(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "probe", planted), kfake.Superuser("SCRAM-SHA-256", "scram", planted),
		kfake.Superuser("SCRAM-SHA-512", "strong", planted))
	secure := fakeKafka(t, kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{ca.leaf(nil)}}))
	address := func(c *kfake.Cluster) string { return c.ListenAddrs()[0] }
	login := func(user, password, mechanism string) options {
		return options{"username": {user}, "password": {password}, "mechanism": {mechanism}}
	}
	// kfake closes where a broker says SASL_AUTHENTICATION_FAILED.
	judge(t, "kafka", map[string]seen{
		"up":                {address(open), nil, healthd.OK, "3 brokers"},
		"enough brokers":    {address(open), options{"brokers": {"3"}}, healthd.OK, "3 brokers"},
		"too few brokers":   {address(open), options{"brokers": {"4"}}, healthd.WrongAnswer, "3 brokers, at least 4"},
		"topic":             {address(open), options{"topic": {"orders"}}, healthd.OK, "3 brokers, topic orders of 4 partitions"},
		"no such topic":     {address(open), options{"topic": {"nothing"}}, healthd.WrongAnswer, "topic nothing: UNKNOWN_TOPIC_OR_PARTITION"},
		"plain":             {address(guarded), login("probe", planted, "plain"), healthd.OK, "1 brokers"},
		"scram":             {address(guarded), login("scram", planted, "scram-sha-256"), healthd.OK, "1 brokers"},
		"strong scram":      {address(guarded), login("strong", planted, "scram-sha-512"), healthd.OK, "1 brokers"},
		"wrong password":    {address(guarded), login("probe", planted+"x", "plain"), healthd.WrongAnswer, "the connection was closed"},
		"wrong scram":       {address(guarded), login("scram", planted+"x", "scram-sha-256"), healthd.WrongAnswer, "the connection was closed"},
		"no login":          {address(guarded), nil, healthd.WrongAnswer, "no kafka answer"},
		"tls":               {address(secure), options{"ca": {ca.file()}}, healthd.OK, "1 brokers"},
		"unknown authority": {address(secure), options{"tls": {"true"}}, healthd.WrongAnswer, "kafka authority"},
		"plain to tls":      {address(secure), nil, healthd.WrongAnswer, "no kafka answer"},
	})
	if open.TopicInfo("nothing") != nil {
		t.Error("asking for a topic has created it")
	}
	t.Run("a broker less", func(t *testing.T) {
		if err := open.RemoveNode(2); err != nil {
			t.Fatal(err)
		}
		o := probe(t, "kafka", address(open), options{"brokers": {"3"}}, 5*time.Second)
		if o.Class != healthd.WrongAnswer || o.Detail != "2 brokers, at least 3" {
			t.Errorf("got %s: %q", o.Class, o.Detail)
		}
	})
}

func TestKafkaMeetsStrangers(t *testing.T) {
	t.Parallel()
	judgeStrangers(t, "kafka", func(address string) string { return address }, options{"username": {"probe"}, "password": {planted}})
}

func TestKafkaSaysWhatTheBrokerSaid(t *testing.T) {
	err := kafkaError(fmt.Errorf("login: %w", kerr.SaslAuthenticationFailed))
	if o := failed(t.Context(), time.Now(), "", err); o.Class != healthd.WrongAnswer || !strings.HasPrefix(o.Detail, "SASL_AUTHENTICATION_FAILED: ") {
		t.Errorf("got %s: %q", o.Class, o.Detail)
	}
}

// What no fake cluster comes to: partitions that have lost their leader or a replica.
func TestKafkaPartitionsAreJudged(t *testing.T) {
	partition := func(leader int32, replicas, inSync int) (p kmsg.MetadataResponseTopicPartition) {
		p.Leader, p.Replicas, p.ISR = leader, make([]int32, replicas), make([]int32, inSync)
		return p
	}
	for name, c := range map[string]struct {
		topic  kmsg.MetadataResponseTopic
		class  healthd.Class
		detail string
	}{
		"whole":            {kmsg.MetadataResponseTopic{Partitions: []kmsg.MetadataResponseTopicPartition{partition(1, 3, 3)}}, healthd.OK, "1 brokers, topic orders of 1 partitions"},
		"a replica behind": {kmsg.MetadataResponseTopic{Partitions: []kmsg.MetadataResponseTopicPartition{partition(1, 3, 3), partition(2, 3, 2)}}, healthd.Degraded, "of 2 partitions, 1 under-replicated"},
		"no leader":        {kmsg.MetadataResponseTopic{Partitions: []kmsg.MetadataResponseTopicPartition{partition(-1, 3, 0)}}, healthd.WrongAnswer, "1 under-replicated, 1 without a leader"},
		"no partitions":    {kmsg.MetadataResponseTopic{}, healthd.WrongAnswer, "of 0 partitions"},
		"not allowed":      {kmsg.MetadataResponseTopic{ErrorCode: kerr.TopicAuthorizationFailed.Code}, healthd.WrongAnswer, "topic orders: TOPIC_AUTHORIZATION_FAILED"},
	} {
		class, detail := kafka{topic: "orders"}.judge(&kmsg.MetadataResponse{Version: 9, Brokers: make([]kmsg.MetadataResponseBroker, 1), Topics: []kmsg.MetadataResponseTopic{c.topic}})
		if class != c.class || !strings.Contains(detail, c.detail) {
			t.Errorf("%s: %s: %q, want %s: %q", name, class, detail, c.class, c.detail)
		}
	}
}

// A broker that has lost its cluster answers all the same.
func TestKafkaWithoutAClusterFails(t *testing.T) {
	alive := make([]kmsg.MetadataResponseBroker, 1)
	for name, c := range map[string]struct {
		told   kmsg.MetadataResponse
		class  healthd.Class
		detail string
	}{
		"no broker":          {kmsg.MetadataResponse{Version: 9, ControllerID: -1}, healthd.WrongAnswer, "it knows of no broker that is alive"},
		"no controller":      {kmsg.MetadataResponse{Version: 9, ControllerID: -1, Brokers: alive}, healthd.WrongAnswer, "1 brokers, but no controller"},
		"too old to tell it": {kmsg.MetadataResponse{ControllerID: -1, Brokers: alive}, healthd.OK, "1 brokers"},
		"whole":              {kmsg.MetadataResponse{Version: 9, Brokers: alive}, healthd.OK, "1 brokers"},
	} {
		if class, detail := (kafka{}).judge(&c.told); class != c.class || detail != c.detail {
			t.Errorf("%s: %s: %q, want %s: %q", name, class, detail, c.class, c.detail)
		}
	}
}

func TestKafkaSettingsAreValidated(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		o      options
		want   string
	}{
		"no port":          {"127.0.0.1", nil, "is not host:port"},
		"a username alone": {"127.0.0.1:9092", options{"username": {"probe"}}, "go together"},
		"metadata":         {"169.254.169.254:9092", nil, "no check may reach"},
		"mechanism alone":  {"127.0.0.1:9092", options{"mechanism": {"plain"}}, "mechanism: does nothing without username"},
		"no broker at all": {"127.0.0.1:9092", options{"brokers": {"0"}}, "out of range"},
	} {
		if _, err := New("kafka", []string{c.target}, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
