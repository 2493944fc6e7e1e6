#!/usr/bin/env bash
# Installs the real programs that lbmedic is tested against, once, and caches the versions that the host does not carry.
#
#   integration/peers.sh demo    HAProxy and nginx of this host
#   integration/peers.sh test    the same, and HAProxy 2.2, 2.6, 3.0, 3.2 and nginx 1.18, 1.22, 1.26, 1.30,
#                                Consul, promtool, grpc_health_probe, and the servers that are checked
#
# The versions come from Debian's suites, each in a root of its own under the cache folder
# ($LBMEDIC_PEERS, default ~/.cache/lbmedic/peers), with a wrapper in bin/ that shares /tmp with the host, so that
# configs and sockets below /tmp have one path inside and outside. Root or sudo is asked for only while something is missing.
#
# The servers are Debian packages unpacked into the cache folder: nothing of them is installed on this host, no service of
# theirs is known to it, and unpacking them needs no root. internal/peer/tool.go says what a test has to know of them.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")" && pwd)

say() { printf 'peers: %s\n' "$*" >&2; }

want=${1:-test}
cache=${LBMEDIC_PEERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/lbmedic/peers}
case $cache in
/*[[:space:]]* | [!/]*)
  say "the cache folder $cache must be an absolute path without blanks; set LBMEDIC_PEERS"
  exit 1
  ;;
esac
export DEBIAN_FRONTEND=noninteractive

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || { say "this needs root to install: $*"; exit 1; }
  sudo --preserve-env=DEBIAN_FRONTEND "$@"
}

missing_packages() {
  local p
  for p in "$@"; do
    dpkg-query -W -f='${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || echo "$p"
  done
}

# install_packages installs while a policy file forbids starting services, and leaves no service enabled that was not
# there before. A policy file that the host has already is set aside and put back.
install_packages() {
  local policy=/usr/sbin/policy-rc.d service
  say "installing $*"
  if as_root test -e "$policy"; then as_root mv "$policy" "$policy.before-lbmedic"; fi
  trap restore_policy EXIT
  trap 'exit 130' INT TERM
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 0755 "$policy"
  as_root apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 update -qq
  as_root apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$@" >/dev/null
  restore_policy
  trap - EXIT INT TERM
  for service in "$@"; do
    if [ -d /run/systemd/system ] && [ -e "/lib/systemd/system/$service.service" ]; then
      as_root systemctl disable --quiet "$service"
    else
      as_root rm -f "/etc/systemd/system/multi-user.target.wants/$service.service"
    fi
  done
}

restore_policy() {
  local policy=/usr/sbin/policy-rc.d
  as_root rm -f "$policy"
  if as_root test -e "$policy.before-lbmedic"; then as_root mv "$policy.before-lbmedic" "$policy"; fi
}

install_missing() {
  local missing
  missing=$(missing_packages "$@")
  # shellcheck disable=SC2086 # one word a package
  if [ -n "$missing" ]; then install_packages $missing; fi
}

# suite_root makes the root of one Debian suite with its HAProxy and nginx.
suite_root() {
  local suite=$1 root="$cache/$1" mirror
  [ -e "$root/.complete" ] && return
  say "making the $suite root (about 30 s)"
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(SUITE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
    awk '$2 ~ /^(bookworm|oldstable|stable)$/ && $3 == "main" && !m { m = $1 } END { print m }')
  as_root rm -rf "$root.new" "$root"
  # shellcheck disable=SC2086 # an empty mirror is debootstrap's own default
  if ! as_root debootstrap --variant=minbase --include=haproxy,nginx "$suite" "$root.new" $mirror >"$cache/$suite.log" 2>&1; then
    tail -n 20 "$cache/$suite.log" >&2
    say "debootstrap $suite failed; the whole log is $cache/$suite.log"
    return 1
  fi
  as_root touch "$root.new/.complete"
  as_root mv "$root.new" "$root"
}

# wrapper writes bin/NAME-VERSION, which runs a program of a suite in a private mount namespace over the host's /tmp.
wrapper() {
  local suite=$1 program=$2 version=$3
  mkdir -p "$cache/bin"
  cat >"$cache/bin/.new" <<EOF
#!/bin/sh
[ "\$(id -u)" = 0 ] || user=--map-root-user
exec unshare --mount \$user -- /bin/sh -c '
  root=$cache/$suite
  mount --rbind /tmp "\$root/tmp" && mount --rbind /dev "\$root/dev" && mount --rbind /proc "\$root/proc" &&
  exec chroot "\$root" /usr/sbin/$program "\$@"' $program "\$@"
EOF
  chmod 0755 "$cache/bin/.new"
  mv "$cache/bin/.new" "$cache/bin/$program-$version"
}

version_of() {
  dpkg-query --admindir="$cache/$1/var/lib/dpkg" -W -f='${Version}' "$2" | sed 's/^[0-9]*://; s/^\([0-9]*\.[0-9]*\).*/\1/'
}

# servers are the packages whose programs the tests of checks start.
servers="postgresql-15 postgresql-client-15 mariadb-server-core mariadb-client-core redis-server redis-tools memcached
  rabbitmq-server nats-server etcd-server etcd-client slapd ldap-utils php8.2-fpm dnsmasq-base exim4-daemon-light openssl
  prometheus dbus-daemon"

# unneeded are packages that those depend on and that no program below asks for when it runs.
unneeded='systemd|libsystemd-shared|locales|libc-l10n|libllvm14|libz3-4|(lib)?python3.*|perl.*|libperl.*|lib.*-perl|libjs-.*|fonts-.*|javascript-common|.*-common|exim4-(base|config)|cron|dmsetup|ed|galera-4|gawk|libcryptsetup12|libfdisk1|libkmod2|logrotate|lsof|media-types|psmisc|rsync|sensible-utils|ucf'

# tools are the names of bin/ and the programs that they run.
tools='postgres            /usr/lib/postgresql/15/bin/postgres
initdb              /usr/lib/postgresql/15/bin/initdb
pg_basebackup       /usr/lib/postgresql/15/bin/pg_basebackup
pg_ctl              /usr/lib/postgresql/15/bin/pg_ctl
psql                /usr/lib/postgresql/15/bin/psql
mariadbd            /usr/sbin/mariadbd
mariadb-install-db  /usr/bin/mariadb-install-db
mariadb             /usr/bin/mariadb
redis-server        /usr/bin/redis-server
redis-cli           /usr/bin/redis-cli
memcached           /usr/bin/memcached
epmd                /usr/bin/epmd
rabbitmq-server     /usr/lib/rabbitmq/bin/rabbitmq-server
rabbitmqctl         /usr/lib/rabbitmq/bin/rabbitmqctl
nats-server         /usr/sbin/nats-server
etcd                /usr/bin/etcd
etcdctl             /usr/bin/etcdctl
slapd               /usr/sbin/slapd
slapadd             /usr/sbin/slapadd
ldapadd             /usr/bin/ldapadd
ldapsearch          /usr/bin/ldapsearch
php-fpm             /usr/sbin/php-fpm8.2
dnsmasq             /usr/sbin/dnsmasq
exim4               /usr/sbin/exim4
openssl             /usr/bin/openssl
promtool            /usr/bin/promtool
dbus-daemon         /usr/bin/dbus-daemon'

# server_packages are the servers and what they need beyond a Debian 12 with HAProxy and nginx, whatever else this host has.
server_packages() {
  # shellcheck disable=SC2086 # one word a package
  { printf '%s\n' $servers
    apt-get -qq -o "Dir::State::status=$cache/bookworm/var/lib/dpkg/status" install --print-uris -y --no-install-recommends $servers |
      sed -n "s/^'[^']*' \([^_]*\)_.*/\1/p"; } | sort -u | grep -vxE "$unneeded"
}

# servers_root unpacks the servers into one folder, without running any script of theirs.
servers_root() {
  local root="$cache/servers" deb name path names made_of
  made_of=$(printf '%s\n' "$servers" "$unneeded" "$tools")
  if [ "$(cat "$root/.complete" 2>/dev/null)" = "$made_of" ]; then return; fi
  say "unpacking the servers that are checked (about 20 s)"
  rm -rf "$root.new" "$root"
  mkdir -p "$root.new/debs" "$root.new"/usr/{bin,sbin,lib,lib64}
  for deb in bin sbin lib lib64; do ln -s "usr/$deb" "$root.new/$deb"; done
  if ! names=$(server_packages 2>/dev/null) || [ -z "$names" ]; then
    as_root apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 update -qq
    names=$(server_packages)
  fi
  # shellcheck disable=SC2086 # one word a package
  (cd "$root.new/debs" && apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 download $names)
  for deb in "$root.new"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$root.new" --keep-directory-symlink --no-same-owner --no-same-permissions -xf -
  done
  rm -rf "$root.new/debs"
  printf '%s:x:%s:%s::/nonexistent:/bin/sh\n' root 0 0 nobody 65534 65534 Debian-exim 65534 65534 >"$root.new/etc/passwd"
  printf '%s:x:%s:\n' root 0 nogroup 65534 Debian-exim 65534 >"$root.new/etc/group"
  while read -r name path; do
    [ -x "$root.new$path" ] || { say "$name is not among the unpacked servers, at $path"; return 1; }
  done <<<"$tools"
  printf '%s' "$made_of" >"$root.new/.complete"
  mv "$root.new" "$root"
}

# tool writes bin/NAME, which runs a program of the servers at the path that its package gives it: what is unpacked lies
# over this host's folders in a private mount namespace (not over all of /usr: a folder below which something is mounted,
# as /usr/local/go may be, cannot be laid over without root). It has the rights of its caller and sees itself as nobody,
# for half of them refuse to be root; and it ends with its caller. Where root may not make a user namespace, as below a
# chroot, it becomes nobody and keeps root's rights to files.
tool() {
  local name=$1 path=$2
  cat >"$cache/bin/.new" <<EOF
#!/bin/sh
[ "\$(id -u)" = 0 ] || user=--map-root-user
exec unshare --mount \$user -- /bin/sh -c '
  servers=$cache/servers
  for dir in /usr/bin /usr/sbin /usr/lib /usr/share /etc; do
    mount -t overlay -o "lowerdir=\$servers\$dir:\$dir" lbmedic \$dir || exit
  done
  nobody="unshare --map-user=65534 --map-group=65534 -- setpriv"
  rights=+chown,+dac_override,+fowner,+kill
  unshare --user true 2>/dev/null || nobody="setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=\$rights --ambient-caps=\$rights"
  exec \$nobody --pdeathsig KILL -- $path "\$@"' $name "\$@"
EOF
  chmod 0755 "$cache/bin/.new"
  mv "$cache/bin/.new" "$cache/bin/$name"
  made+="$name "
}

# plain writes bin/NAME for a program that asks the kernel who calls it, so that it has to see us as we are: only its
# libraries come from what is unpacked.
plain() {
  local name=$1 path=$2
  cat >"$cache/bin/.new" <<EOF
#!/bin/sh
libraries=\$(echo $cache/servers/usr/lib/*-linux-gnu*)
LD_LIBRARY_PATH=\$libraries exec $cache/servers$path "\$@"
EOF
  chmod 0755 "$cache/bin/.new"
  mv "$cache/bin/.new" "$cache/bin/$name"
  made+="$name "
}

# built builds bin/NAME from a Go module that names nothing but that tool, so that its hundreds of requirements are not ours.
built() {
  local name=$1 module=$2 dir=$3
  made+="$name "
  [ -x "$cache/bin/$name" ] && return
  say "building $name"
  (cd "$here/../$dir" && GOFLAGS=-buildvcs=false GOWORK=off CGO_ENABLED=0 "${GO:-go}" build -trimpath -ldflags '-s -w' -o "$cache/bin/.new-$name" "$module")
  mv "$cache/bin/.new-$name" "$cache/bin/$name"
}

# pinned is the version of a module in the go.mod of a tool.
pinned() { sed -n "s|^[[:space:]]*$1 v\([^ ]*\).*|\1|p" "$here/../$2/go.mod"; }

install_missing haproxy nginx
if [ "$want" = demo ]; then exit 0; fi

install_missing debootstrap util-linux git gcc libc6-dev
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
made=" "
while read -r suite haproxy nginx; do
  suite_root "$suite"
  for program in haproxy nginx; do
    got=$(version_of "$suite" "$program")
    if [ "$got" != "${!program}" ]; then say "note: $suite carries $program $got, not ${!program}"; fi
    wrapper "$suite" "$program" "$got"
    made+="$program-$got "
  done
done <<'SUITES'
bullseye 2.2 1.18
bookworm 2.6 1.22
trixie   3.0 1.26
sid      3.2 1.30
SUITES
servers_root
while read -r name path; do
  tool "$name" "$path"
done <<<"$tools"
plain dbus-daemon /usr/bin/dbus-daemon
built "consul-$(pinned github.com/hashicorp/consul internal/peer/consul)" github.com/hashicorp/consul internal/peer/consul
built "grpc_health_probe-$(pinned github.com/grpc-ecosystem/grpc-health-probe internal/peer/grpcprobe)" github.com/grpc-ecosystem/grpc-health-probe internal/peer/grpcprobe
for old in "$cache"/bin/*; do # versions that a suite has moved on from
  case $made in *" ${old##*/} "*) ;; *) rm -f "$old" ;; esac
done
