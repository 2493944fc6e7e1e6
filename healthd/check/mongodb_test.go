//go:build !lite

package check

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/lbmedic/lbmedic/healthd"
)

const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// playMongoDB speaks the server's side of the wire protocol: hello in OP_QUERY and in OP_MSG, a login that always fails, and an error for the rest
// (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/).
func playMongoDB(t *testing.T, state bson.D) string {
	t.Helper()
	hello := append(bson.D{{Key: "ok", Value: 1.0}, {Key: "maxWireVersion", Value: int32(21)}, {Key: "minWireVersion", Value: int32(0)}, {Key: "maxBsonObjectSize", Value: int32(16 << 20)},
		{Key: "maxMessageSizeBytes", Value: int32(48000000)}, {Key: "maxWriteBatchSize", Value: int32(100000)}, {Key: "saslSupportedMechs", Value: bson.A{"SCRAM-SHA-256"}}}, state...)
	return stranger(t, func(c net.Conn) {
		for {
			request, code, body, err := readMongo(c)
			if err != nil {
				return
			}
			answer := bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: int32(59)}, {Key: "codeName", Value: "CommandNotFound"}, {Key: "errmsg", Value: "no such command"}}
			switch asked := commandName(code, body); asked {
			case "hello", "isMaster", "ismaster":
				answer = hello
			case "saslStart":
				answer = bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: int32(18)}, {Key: "codeName", Value: "AuthenticationFailed"}, {Key: "errmsg", Value: "Authentication failed."}}
			case "endSessions":
				answer = bson.D{{Key: "ok", Value: 1.0}}
			}
			if err := writeMongo(c, request, code, answer); err != nil {
				return
			}
		}
	})
}

// readMongo reads a message: its id, what it is, and what follows the header.
func readMongo(r io.Reader) (id, code uint32, body []byte, err error) {
	header := make([]byte, 16)
	if _, err = io.ReadFull(r, header); err != nil {
		return 0, 0, nil, err
	}
	size := binary.LittleEndian.Uint32(header)
	body = make([]byte, min(size, 1<<20)-16)
	_, err = io.ReadFull(r, body)
	return binary.LittleEndian.Uint32(header[4:]), binary.LittleEndian.Uint32(header[12:]), body, err
}

// commandName is the first key of the message's document.
func commandName(code uint32, body []byte) string {
	doc := body[min(5, len(body)):] // OP_MSG: flags and the kind of section
	if code == opQuery {            // flags, a name ended by 0, two numbers
		end := strings.IndexByte(string(body[4:]), 0)
		doc = body[4+end+1+8:]
	}
	size := min(int(binary.LittleEndian.Uint32(doc)), len(doc))
	elements, err := bson.Raw(doc[:size]).Elements()
	if err != nil || len(elements) == 0 {
		return ""
	}
	return elements[0].Key()
}

func writeMongo(w io.Writer, request, code uint32, answer bson.D) error {
	doc, err := bson.Marshal(answer)
	if err != nil {
		return err
	}
	before, kind := make([]byte, 5), uint32(opMsg)
	if code == opQuery {
		before, kind = make([]byte, 20), opReply
		binary.LittleEndian.PutUint32(before[16:], 1) // one document
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(16+len(before)+len(doc)))
	out = binary.LittleEndian.AppendUint32(out, 1)
	out = binary.LittleEndian.AppendUint32(out, request)
	out = binary.LittleEndian.AppendUint32(out, kind)
	_, err = w.Write(append(append(out, before...), doc...))
	return err
}

func TestMongoDBStatesAreJudged(t *testing.T) {
	t.Parallel()
	member := func(keys ...string) string {
		state := bson.D{{Key: "setName", Value: "rs0"}, {Key: "hosts", Value: bson.A{"127.0.0.1:27017"}}, {Key: "isWritablePrimary", Value: false}}
		for _, key := range keys {
			state = append(state, bson.E{Key: key, Value: true})
		}
		return "mongodb://" + playMongoDB(t, state) + "/"
	}
	primary := "mongodb://" + playMongoDB(t, bson.D{{Key: "setName", Value: "rs0"}, {Key: "hosts", Value: bson.A{"127.0.0.1:27017"}}, {Key: "isWritablePrimary", Value: true}}) + "/"
	alone := playMongoDB(t, bson.D{{Key: "isWritablePrimary", Value: true}})
	router := "mongodb://" + playMongoDB(t, bson.D{{Key: "isWritablePrimary", Value: true}, {Key: "msg", Value: "isdbgrid"}}) + "/"
	secondary := member("secondary")
	judge(t, "mongodb", map[string]seen{
		"standalone":         {"mongodb://" + alone, nil, healthd.OK, "state standalone"},
		"primary":            {primary, options{"role": {"primary"}}, healthd.OK, "state primary of set rs0"},
		"secondary":          {secondary, options{"role": {"secondary"}}, healthd.OK, "state secondary of set rs0"},
		"any role":           {secondary, nil, healthd.OK, "state secondary of set rs0"},
		"not a primary":      {secondary, options{"role": {"primary"}}, healthd.WrongAnswer, "state secondary of set rs0, expected primary"},
		"not a secondary":    {primary, options{"role": {"secondary"}}, healthd.WrongAnswer, "state primary of set rs0, expected secondary"},
		"recovering":         {member(), nil, healthd.WrongAnswer, "recovering"},
		"arbiter":            {member("arbiterOnly"), nil, healthd.WrongAnswer, "state arbiter of set rs0, which holds no data"},
		"mongos":             {router, nil, healthd.OK, "state mongos"},
		"wrong password":     {"mongodb://probe:" + planted + "@" + alone + "/?authSource=admin", nil, healthd.WrongAnswer, "Authentication failed."},
		"no such unix sock":  {"mongodb://%2Ftmp%2Fno-such-mongodb.sock", nil, healthd.Refused, ""},
		"no answer to hello": {"mongodb://" + stranger(t, refuseMongo), nil, healthd.WrongAnswer, "no such command"},
	})
}

func refuseMongo(c net.Conn) {
	for {
		request, code, _, err := readMongo(c)
		if err != nil {
			return
		}
		if writeMongo(c, request, code, bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: int32(59)}, {Key: "errmsg", Value: "no such command"}}) != nil {
			return
		}
	}
}

func TestMongoDBMeetsStrangers(t *testing.T) {
	t.Parallel()
	judgeStrangers(t, "mongodb", func(address string) string { return "mongodb://probe:" + planted + "@" + address + "/" }, nil)
}

// One that is refused is told at once, although the driver would try until the deadline.
func TestMongoDBThatRefusesIsToldAtOnce(t *testing.T) {
	start := time.Now()
	o := probe(t, "mongodb", "mongodb://"+local(t), nil, 20*time.Second)
	if took := time.Since(start); o.Class != healthd.Refused || took > 5*time.Second {
		t.Errorf("got %s: %q after %s", o.Class, o.Detail, took)
	}
}

func TestMongoDBSettingsAreValidated(t *testing.T) {
	for name, c := range map[string]struct{ target, want string }{
		"another scheme":  {"http://probe:" + planted + "@127.0.0.1", "is no url such as mongodb://"},
		"by DNS":          {"mongodb+srv://probe:" + planted + "@db.example", "names members through DNS"},
		"several":         {"mongodb://probe:" + planted + "@a,b/?replicaSet=rs0", "names several members"},
		"aws":             {"mongodb://127.0.0.1/?authMechanism=MONGODB-AWS", "asks for the mechanism MONGODB-AWS"},
		"oidc":            {"mongodb://127.0.0.1/?authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:azure,TOKEN_RESOURCE:x", "asks for the mechanism MONGODB-OIDC"},
		"oidc of gcp":     {"mongodb://127.0.0.1/?authMechanism=mongodb-oidc&authMechanismProperties=ENVIRONMENT:gcp,TOKEN_RESOURCE:x", "asks for the mechanism mongodb-oidc"},
		"metadata":        {"mongodb://probe:" + planted + "@169.254.169.254", "no check may reach"},
		"a missing file":  {"mongodb://probe:" + planted + "@127.0.0.1/?tls=true&tlsCAFile=/nowhere.pem", "or a file that it names cannot be read"},
		"an odd password": {"mongodb://probe:" + planted + "%@127.0.0.1/", "is no url such as mongodb://"},
	} {
		_, err := New("mongodb", []string{c.target}, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
