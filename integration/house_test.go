// Package integration holds the walls of the house as tests, and runs the whole program against the real HAProxy and nginx.
package integration

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/lbmedic/lbmedic"

// arrows says which of our own trees a tree may import. The longest tree that holds a package decides.
var arrows = map[string][]string{
	"cmd":                    {"cmd", "healthd", "lbconfig", "remediate", "internal"},
	"integration":            {"integration", "cmd", "healthd", "lbconfig", "remediate", "internal"},
	"remediate":              {"remediate", "lbconfig", "healthd", "internal"},
	"healthd":                {"healthd", "internal"},
	"lbconfig":               {"lbconfig", "internal"},
	"internal":               {},
	"internal/peer/peertest": {"internal/peer"},
}

// clients says which modules of others a tree may import outside its tests. The longest tree that holds a package
// decides, so that whoever imports healthd or lbconfig as a library gets nothing else with it. golang.org/x/sys is
// nearly the standard library and may be anywhere but in the pure packages.
var clients = map[string][]string{
	"cmd": {
		"github.com/coreos/go-systemd/v22", "github.com/goccy/go-yaml", "github.com/mattn/go-isatty", "github.com/prometheus/procfs", "github.com/spf13/cobra",
		"github.com/spf13/pflag", "go.uber.org/zap",
	},
	"healthd": {},
	"healthd/check": {
		"github.com/coreos/go-systemd/v22", "github.com/go-ldap/ldap/v3", "github.com/go-sql-driver/mysql", "github.com/godbus/dbus/v5", "github.com/jackc/pgx/v5", "github.com/miekg/dns",
		"github.com/nats-io/nats.go", "github.com/prometheus/procfs", "github.com/rabbitmq/amqp091-go", "github.com/redis/go-redis/v9", "github.com/twmb/franz-go",
		"go.mongodb.org/mongo-driver/v2", "google.golang.org/grpc",
	},
	"healthd/consul":        {"github.com/hashicorp/consul/api"},
	"healthd/serve/grpc":    {"google.golang.org/grpc"},
	"healthd/serve/metrics": {"github.com/prometheus/client_golang"},
	"integration":           {"go.uber.org/zap"},
	"integration/bench":     {"github.com/alexliesenfeld/health", "github.com/hellofresh/health-go/v5", "go.uber.org/zap"},
	"internal":              {},
	"lbconfig":              {},
	"lbconfig/watch":        {"github.com/fsnotify/fsnotify"},
	"remediate":             {},
	"remediate/admin":       {"go.uber.org/zap"},
	"remediate/consul":      {"github.com/hashicorp/consul/api"},
	"remediate/control":     {"go.uber.org/zap"},
}

// testClients may be imported by every test.
var testClients = []string{"github.com/rogpeppe/go-internal", "go.uber.org/goleak", "golang.org/x/tools/txtar", "pgregory.net/rapid"}

// pure packages get bytes, values and the time, and give values.
var pure = []string{"healthd", "lbconfig", "remediate", "remediate/diagnose/cause"}

// impure is what they import none of, with everything below it but for pureAnyway; clockReaders are what they use none
// of in package time.
var (
	impure       = []string{"os", "net", "io/fs", "io/ioutil", "syscall", "log", "testing", "github.com/fsnotify/fsnotify", "go.uber.org/zap", "golang.org/x/sys"}
	pureAnyway   = []string{"net/netip", "net/url", "net/textproto"}
	clockReaders = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Sleep"}
)

// junkDrawers are names of packages and files that say nothing.
var junkDrawers = []string{"util", "utils", "common", "helper", "helpers", "types", "misc"}

// walls are all of them. Each takes the tree and says what is wrong with it.
var walls = map[string]func(house) []string{
	"arrows":            arrowsHold,
	"clients":           clientsStayAtTheEdges,
	"pure imports":      pureImportNothingImpure,
	"pure clock":        pureReadNoClock,
	"no init":           nothingHappensAtImport,
	"no sleeping tests": testsDoNotSleep,
	"package comments":  packagesSayWhatTheyAreFor,
	"no junk drawers":   everythingHasAName,
	"named paths exist": namedPathsExist,
	"no machine paths":  noMachinePaths,
}

func TestTheHouseStands(t *testing.T) {
	h, err := readHouse(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	if len(h.files) < 10 {
		t.Fatalf("only %d Go files were found", len(h.files))
	}
	for name, wall := range walls {
		for _, v := range wall(h) {
			t.Errorf("%s: %s", name, v)
		}
	}
}

// A violation of each wall, planted into a small house that has none.
func TestEveryWallHolds(t *testing.T) {
	plant := func(importing string) string { return "package x\n\nimport _ \"" + importing + "\"\n" }
	ours := func(tree string) string { return plant(module + "/" + tree) }
	home := "/ho" + "me/someone/lbmedic" // in two parts, or this file would be a violation itself
	planted := map[string]struct{ wall, path, text, want string }{
		"a library knows the other library":   {"arrows", "healthd/check/x.go", ours("lbconfig"), "lbconfig"},
		"a library knows its user":            {"arrows", "lbconfig/nginx/x.go", ours("remediate/control"), "remediate/control"},
		"a root knows its user":               {"arrows", "healthd/check/x.go", ours("remediate"), "remediate"},
		"a leaf knows the house":              {"arrows", "internal/child/x.go", ours("lbconfig"), "lbconfig"},
		"a leaf knows a leaf":                 {"arrows", "internal/child/x.go", ours("internal/durable"), "internal/durable"},
		"a library knows the program":         {"arrows", "remediate/control/x.go", ours("cmd/lbmedic/config"), "cmd/lbmedic/config"},
		"a test knows the program":            {"arrows", "remediate/control/x_test.go", ours("cmd/lbmedic/config"), "cmd/lbmedic/config"},
		"somebody imports integration":        {"arrows", "cmd/lbmedic/x.go", ours("integration/fuzzall"), "integration/fuzzall"},
		"the product imports peertest":        {"arrows", "cmd/lbmedic/x.go", ours("internal/peer/peertest"), "internal/peer/peertest"},
		"the peertest imports more":           {"arrows", "internal/peer/peertest/x.go", ours("internal/child"), "internal/child"},
		"a tree nobody knows":                 {"arrows", "elsewhere/x.go", "// Package x is new.\n" + ours("healthd"), "elsewhere"},
		"a database driver in a library":      {"clients", "healthd/client/x.go", plant("github.com/jackc/pgx/v5"), "pgx"},
		"consul beside the balancer":          {"clients", "lbconfig/haproxy/runtime/x.go", plant("github.com/hashicorp/consul/api"), "consul"},
		"a module with a longer name":         {"clients", "lbconfig/watch/x.go", plant("github.com/fsnotify/fsnotify2"), "fsnotify2"},
		"a test library in the product":       {"clients", "remediate/control/x.go", plant("pgregory.net/rapid"), "rapid"},
		"an unknown module in a test":         {"clients", "remediate/control/x_test.go", plant("github.com/stretchr/testify"), "testify"},
		"a pure package opens files":          {"pure imports", "healthd/x.go", "package healthd\n\nimport \"os\"\n\nvar _ = os.Args\n", "os"},
		"a pure package runs programs":        {"pure imports", "remediate/x.go", "package remediate\n\nimport _ \"os/exec\"\n", "os/exec"},
		"a pure package opens sockets":        {"pure imports", "lbconfig/x.go", "package lbconfig\n\nimport _ \"net/http\"\n", "net/http"},
		"a pure package borrows the impurity": {"pure imports", "remediate/x.go", "package remediate\n\nimport _ \"" + module + "/lbconfig/watch\"\n", "lbconfig/watch"},
		"a pure package reads the clock":      {"pure clock", "healthd/x.go", "package healthd\n\nimport \"time\"\n\nvar _ = time.Now()\n", "time.Now"},
		"a clock under another name":          {"pure clock", "lbconfig/x.go", "package lbconfig\n\nimport t \"time\"\n\nvar now = t.Since\n", "time.Since"},
		"a clock under no name":               {"pure clock", "remediate/x.go", "package remediate\n\nimport . \"time\"\n\nvar now = Now\n", "dot"},
		"a cause with a timer":                {"pure clock", "remediate/diagnose/cause/x.go", "// Package cause names causes.\npackage cause\n\nimport \"time\"\n\nvar _ = time.After(1)\n", "time.After"},
		"a pure package calls the kernel":     {"pure imports", "healthd/x.go", "package healthd\n\nimport _ \"golang.org/x/sys/unix\"\n", "unix"},
		"an init":                             {"no init", "healthd/check/x.go", "package check\n\nfunc init() {}\n", "init"},
		"an init of a test":                   {"no init", "healthd/check/x_test.go", "package check\n\nfunc init() {}\n", "init"},
		"a sleeping test":                     {"no sleeping tests", "healthd/check/x_test.go", "package check\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n", "time.Sleep"},
		"a sleep beside a bubble":             {"no sleeping tests", "healthd/check/x_test.go", "package check\n\nimport (\n\t\"testing/synctest\"\n\t\"time\"\n)\n\nfunc f() {\n\tsynctest.Test(nil, nil)\n\ttime.Sleep(1)\n}\n", "x_test.go:10"},
		"a package without a word":            {"package comments", "healthd/probe/x.go", "package probe\n", "healthd/probe"},
		"a comment about something else":      {"package comments", "healthd/probe/x.go", "// Package prober probes.\npackage probe\n", "Package probe "},
		"a command without a word":            {"package comments", "cmd/other/main.go", "package main\n\nfunc main() {}\n", "cmd/other"},
		"a package of helpers":                {"no junk drawers", "healthd/util/x.go", "// Package util is a junk drawer.\npackage util\n", "healthd/util"},
		"a file of types":                     {"no junk drawers", "healthd/types.go", "package healthd\n", "types.go"},
		"a file of test helpers":              {"no junk drawers", "healthd/helpers_test.go", "package healthd\n", "helpers_test.go"},
		"a README that names a lost folder":   {"named paths exist", "README.md", "the map:\n\n    healthd/lost/   gone\n", "README.md:3: healthd/lost"},
		"a page that names a lost file":       {"named paths exist", "docs/use.md", "see `deploy/lost.yaml`.\n", "deploy/lost.yaml"},
		"a page that links to a lost page":    {"named paths exist", "docs/use.md", "see [more](lost.md#there)\n", "docs/lost.md"},
		"a path of somebody's machine":        {"no machine paths", "docs/use.md", "cd " + home + "\n", "docs/use.md:1"},
		"a path in a script":                  {"no machine paths", "Makefile", "x:\n\tcp x " + home + "\n", "Makefile:2"},
	}
	silent := maps.Clone(walls)
	for name, p := range planted {
		t.Run(name, func(t *testing.T) {
			for other, said := range judge(t, p.path, p.text) {
				switch {
				case other != p.wall && len(said) > 0:
					t.Errorf("the wall %q speaks up too: %v", other, said)
				case other == p.wall && (len(said) != 1 || !strings.Contains(said[0], p.want)):
					t.Errorf("the wall %q says %q, want one line with %q", other, said, p.want)
				}
			}
		})
		delete(silent, p.wall)
	}
	if len(silent) > 0 {
		t.Errorf("nothing was planted against %v", slices.Collect(maps.Keys(silent)))
	}
}

// What looks like a violation and is none.
func TestNoWallCriesWolf(t *testing.T) {
	for name, p := range map[string]struct{ path, text string }{
		"the clean house":                    {"healthd/y.go", "package healthd\n"},
		"addresses as values":                {"lbconfig/x.go", "package lbconfig\n\nimport _ \"net/netip\"\n"},
		"time as a value":                    {"healthd/x.go", "package healthd\n\nimport \"time\"\n\nvar _ time.Duration = time.Second\n"},
		"a field called Now":                 {"healthd/x.go", "package healthd\n\ntype v struct{ Now int }\n\nvar _ = v{}.Now\n"},
		"a clock in a pure package's test":   {"healthd/x_test.go", "package healthd\n\nimport \"time\"\n\nvar _ = time.Now\n"},
		"a method called init":               {"healthd/x.go", "package healthd\n\ntype v struct{}\n\nfunc (v) init() {}\n"},
		"a sleep in a bubble":                {"healthd/x_test.go", "package healthd\n\nimport (\n\t\"testing/synctest\"\n\t\"time\"\n)\n\nfunc f() { synctest.Test(nil, func() { time.Sleep(1) }) }\n"},
		"the peers in a library's test":      {"lbconfig/x_test.go", "package lbconfig\n\nimport _ \"" + module + "/internal/peer/peertest\"\n"},
		"a package tested from outside":      {"internal/child/x_test.go", "package child_test\n\nimport _ \"" + module + "/internal/child\"\n"},
		"commands that import each other":    {"cmd/lbmedic/x.go", "package main\n\nimport _ \"" + module + "/cmd/lbmedic/config\"\n"},
		"code that is only data":             {"lbconfig/testdata/x.go", "package nothing\n\nfunc init() {}\n"},
		"a module inside the tree":           {"integration/consul/go.mod", "module example.com/tools\n"},
		"a page with links that are no path": {"docs/use.md", "[a](https://example.com/docs/x) [b](#there) `healthd/…` `docs/*.md` and/or [c](../README.md)\n"},
	} {
		t.Run(name, func(t *testing.T) {
			for wall, said := range judge(t, p.path, p.text) {
				if len(said) > 0 {
					t.Errorf("%s: %v", wall, said)
				}
			}
		})
	}
}

// judge adds one file to a clean house and returns what each wall says.
func judge(t *testing.T, path, text string) map[string][]string {
	t.Helper()
	tree := fstest.MapFS{
		"go.mod":    {Data: []byte("module " + module + "\n")},
		"README.md": {Data: []byte("read `docs/use.md`, [the page](docs/use.md) and `healthd/`\n")},
		"Makefile":  {Data: []byte("test:\n\tgo test ./...\n")},
	}
	for _, dir := range []string{"healthd", "healthd/check", "healthd/client", "lbconfig", "lbconfig/nginx", "lbconfig/watch",
		"lbconfig/haproxy/runtime", "remediate", "remediate/control", "internal/child", "internal/peer/peertest", "cmd/lbmedic"} {
		base := dir[strings.LastIndex(dir, "/")+1:]
		if dir == "cmd/lbmedic" {
			base = "main"
		}
		tree[dir+"/doc.go"] = &fstest.MapFile{Data: []byte("// Package " + base + " is clean.\npackage " + base + "\n")}
	}
	tree["docs/use.md"] = &fstest.MapFile{Data: []byte("how to use it\n")}
	if dir, _, _ := strings.Cut(path, "/x"); strings.HasSuffix(path, ".go") && strings.HasPrefix(text, "package x\n") {
		text = strings.Replace(text, "package x\n", "package "+packageOf(tree, dir)+"\n", 1)
	}
	tree[path] = &fstest.MapFile{Data: []byte(text), Mode: fs.ModePerm}
	h, err := readHouse(tree)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string][]string{}
	for name, wall := range walls {
		said[name] = wall(h)
	}
	return said
}

func packageOf(tree fstest.MapFS, dir string) string {
	if f, ok := tree[dir+"/doc.go"]; ok {
		_, name, _ := strings.Cut(string(f.Data), "\npackage ")
		return strings.TrimSpace(name)
	}
	return "x"
}
