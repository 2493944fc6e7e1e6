package peer

import (
	"os"
	"path/filepath"
)

// Tool returns the absolute path of a program that integration/peers.sh test has made, whatever this host carries, so that
// it behaves alike everywhere. With LBMEDIC_PEERS=none there is none.
//
// These are the names:
//
//	consul grpc_health_probe promtool openssl
//	postgres initdb pg_basebackup pg_ctl psql
//	mariadbd mariadb-install-db mariadb
//	redis-server redis-cli memcached
//	rabbitmq-server rabbitmqctl epmd
//	nats-server etcd etcdctl
//	slapd slapadd ldapadd ldapsearch
//	php-fpm dnsmasq exim4 dbus-daemon
//
// A tool that comes from Debian (all but consul and grpc_health_probe) runs over the host's own files, with its
// package's files at the paths that the package gives them (/usr/lib/ldap, /etc/ldap/schema) and nothing of it
// installed. It has the rights of its caller and believes to be the user nobody, whether the caller is root or not: so
// postgres, mariadbd, memcached, exim4 and php-fpm run without -u, --user, -R or a change of credentials, and what they
// write belongs to the caller. It ends with its caller, and only ports from 1024 up are open to it.
//
// What a test has to say, each on a port of its own below a folder of its own:
//
//   - initdb -D DIR -U postgres -A trust --no-sync --locale=C -E UTF8, then postgres -D DIR -p PORT -k DIR -c listen_addresses=127.0.0.1
//   - mariadb-install-db --no-defaults --datadir=DIR --auth-root-authentication-method=normal --skip-test-db, then
//     mariadbd --no-defaults --datadir=DIR --port=PORT --bind-address=127.0.0.1 --socket=DIR/sock
//   - epmd -port PORT -address 127.0.0.1 first, or rabbitmq-server leaves a daemon of it behind; then rabbitmq-server with
//     ERL_EPMD_PORT, ERL_EPMD_ADDRESS, HOME, RABBITMQ_NODENAME=NAME@localhost, RABBITMQ_NODE_IP_ADDRESS, RABBITMQ_NODE_PORT,
//     RABBITMQ_DIST_PORT, RABBITMQ_MNESIA_BASE, RABBITMQ_LOG_BASE, RABBITMQ_LOGS=-, RABBITMQ_ENABLED_PLUGINS_FILE, RABBITMQ_PID_FILE
//     in its environment, all of them below DIR
//   - slapd -d 0 -h ldap://127.0.0.1:PORT -f FILE, the file with `modulepath /usr/lib/ldap` and `moduleload back_mdb`
//   - php-fpm -F -n -y FILE; dnsmasq -k --conf-file=/dev/null --no-resolv --no-hosts --pid-file= --port=PORT
//     --listen-address=127.0.0.1 --bind-interfaces; exim4 -bdf -C FILE -oP DIR/pid, the file with `exim_user = nobody`, `exim_group = nogroup`
func Tool(name string) (path string, ok bool) {
	if versions := Cached(name); len(versions) > 0 {
		return versions[len(versions)-1].Path, true
	}
	dir, ok := cache()
	if !ok {
		return "", false
	}
	path = filepath.Join(dir, "bin", name)
	_, err := os.Stat(path)
	return path, err == nil
}
