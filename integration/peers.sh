#!/usr/bin/env bash
# Installs the real programs that lbmedic is tested against, once, and caches the versions that the host does not carry.
#
#   integration/peers.sh demo    HAProxy and nginx of this host
#   integration/peers.sh test    the same, and HAProxy 2.2, 2.6, 3.0, 3.2 and nginx 1.18, 1.22, 1.26, 1.30
#
# The versions come from Debian's suites, each in a root of its own under the cache folder
# ($LBMEDIC_PEERS, default ~/.cache/lbmedic/peers), with a wrapper in bin/ that shares /tmp with the host, so that
# configs and sockets below /tmp have one path inside and outside. Root or sudo is asked for only while something is missing.
set -euo pipefail

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
for old in "$cache"/bin/*; do # versions that a suite has moved on from
  case $made in *" ${old##*/} "*) ;; *) rm -f "$old" ;; esac
done
