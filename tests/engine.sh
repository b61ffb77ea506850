#!/usr/bin/env bash
# Provides Docker Engines for the tests and the sample, without touching the
# machine's own Docker: packages are downloaded and unpacked into a folder, never
# installed, so no system service starts and no other Docker package is replaced.
set -euo pipefail

usage() {
    cat <<'END'
usage: tests/engine.sh up NAME            start an engine, print its address
       tests/engine.sh again NAME         start one whose daemon was killed, with
                                          all that it had
       tests/engine.sh down NAME|all      stop it, remove its data (packages stay)
       tests/engine.sh found              print the address of an engine that
                                          answers already, fail without one
       tests/engine.sh use                the same, else start one (debian)
       tests/engine.sh status             print "NAME ADDRESS" of what runs
       tests/engine.sh matrix             print the names, one per line
       tests/engine.sh busybox ADDRESS    make sure busybox:latest is there
       tests/engine.sh docker NAME ARG... the engine's own docker CLI, with buildx
       tests/engine.sh cli                print the path of a docker CLI

NAME: debian          the machine's own release's docker.io
      28-overlay2     the newest docker.io of Debian, graph driver store
      28-containerd   the same with the containerd image store

Only an answer goes to stdout, everything else to stderr.

BOWLINE_ENGINE_HOME   where packages and engines live (/var/tmp/bowline-engines)
BOWLINE_ENGINE_TMPFS  1: data roots on /dev/shm, for steady timings
BOWLINE_ENGINE_SIZE   a size (300m): data roots on a file system of their own,
                      which is full at that
BOWLINE_PULL          1: pull busybox instead of building it from busybox-static
END
}

home=${BOWLINE_ENGINE_HOME:-/var/tmp/bowline-engines}
case $home in /*) ;; *) home=$PWD/$home ;; esac
packages=$home/packages
PATH=$PATH:/usr/sbin:/sbin # not everybody's root has them: ip, iptables
base_path=$PATH

say() { echo "engine.sh: $*" >&2; }
warn() { echo "engine.sh: WARNING: $*" >&2; }
die() { echo "engine.sh: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

matrix() { printf '%s\n' debian 28-overlay2 28-containerd; }

check_name() {
    case $1 in
        debian | 28-overlay2 | 28-containerd) ;;
        *) die "there is no engine \`$1\`, only: $(matrix | paste -sd ' ')" ;;
    esac
}

# --- what the machine must have -----------------------------------------------

need_debian_root() {
    if ! have apt-get || ! have dpkg-deb; then
        die "engines are made from Debian's packages, and this machine has no apt-get: install Docker Engine (https://docs.docker.com/engine/install/) and start it, or set DOCKER_HOST"
    fi
    [ "$(id -u)" = 0 ] || die "only root can start an engine: run as root, or install docker.io, start it and set DOCKER_HOST"
}

# A minimal Debian lacks nearly all of these. dockerd calls ip, iptables, xz and
# ps itself; iptables is needed inside containers' namespaces (name resolution on
# networks of one's own) even though the daemons leave the host's rules alone.
install_tools() {
    local missing=() tool package
    while read -r tool package; do
        have "$tool" || missing+=("$package")
    done <<'END'
ip iproute2
iptables iptables
curl curl
xz xz-utils
ps procps
flock util-linux
setsid util-linux
mount mount
END
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

apt_lists_ready() { # The package lists may never have been fetched here.
    # shellcheck disable=SC2016
    [ -n "$(apt-get indextargets --format '$(FILENAME)' 'Created-By: Packages' 2>/dev/null)" ]
}

apt_update() {
    say "updating the package lists"
    apt-get update -q >&2 || warn "apt-get update failed, going on with what there is"
}

apt_install() {
    say "installing $*"
    apt_lists_ready || apt_update
    local try
    for try in 1 2; do
        # Another apt may be at work: wait for its lock instead of failing.
        if DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -q --no-install-recommends "$@" >&2; then
            return
        fi
        # Old lists name versions that the mirror has dropped.
        [ "$try" = 2 ] || apt_update
    done
    die "could not install $*: run \`apt-get install $*\`"
}

# --- packages -------------------------------------------------------------------

# locked NAME FUNCTION ARG...: one caller at a time, so that two at once do not
# install or start the same thing twice.
locked() {
    local name=$1 fd
    shift
    mkdir -p "$home"
    exec {fd}>"$home/$name.lock"
    flock "$fd"
    lock_fds+=" $fd"
    "$@"
    exec {fd}>&-
}
lock_fds=

# fetch_debs ROOT PACKAGE... [-- OPTIONAL PACKAGE...]: downloads with the apt
# options in ${apt_options[@]} and unpacks into ROOT.
fetch_debs() {
    local root=$1 package optional=
    shift
    rm -rf "$root.part"
    mkdir -p "$root.part/debs"
    for package in "$@"; do
        if [ "$package" = -- ]; then optional=1; continue; fi
        (cd "$root.part/debs" && apt-get "${apt_options[@]}" -q download "$package") >&2 && continue
        [ -n "$optional" ] && { say "no package $package here, going on without"; continue; }
        return 1
    done
    local deb
    for deb in "$root.part"/debs/*.deb; do
        dpkg-deb -x "$deb" "$root.part" || return 1
    done
}

# Libraries are the one thing that has to be installed: those that the unpacked
# programs' packages depend on, and only when one is missing.
install_libraries() {
    local root=$1 missing libraries
    missing=$(ldd "$root"/usr/sbin/* "$root"/usr/bin/* 2>/dev/null | grep 'not found' || true)
    [ -n "$missing" ] || return 0
    libraries=$(for deb in "$root"/debs/*.deb; do dpkg-deb -f "$deb" Depends; done |
        tr ',' '\n' | awk '$1 ~ /^lib/ {print $1}' | sort -u)
    # shellcheck disable=SC2086
    apt_install $libraries
}

install_own() {
    [ -e "$packages/own/ok" ] && return
    need_debian_root
    install_tools
    say "downloading docker.io of this machine's release"
    local apt_options=(-o APT::Sandbox::User=root)
    apt_lists_ready || apt_update
    fetch_own || { apt_update; fetch_own; } || die "could not download docker.io from this machine's package sources"
    install_libraries "$packages/own.part"
    seal own || die "docker.io of this machine's release does not run here"
}
fetch_own() {
    fetch_debs "$packages/own" docker.io containerd runc tini busybox-static -- docker-cli docker-buildx
}

# Debian's newest, through an apt configuration of our own: the machine's package
# lists, pins and sources stay as they are.
install_new() {
    [ -e "$packages/new/ok" ] && return
    install_own # its runc is used: a newer one wants a newer libc
    local suite
    # shellcheck disable=SC1091
    if [ "$(. /etc/os-release && echo "${ID:-}")" != debian ]; then
        say "not Debian: the newest docker.io is this release's own"
        cp -a "$packages/own" "$packages/new.part"
        seal new || die "docker.io of this machine's release does not run here"
        return
    fi
    for suite in sid trixie; do
        say "downloading docker.io of Debian $suite"
        if fetch_suite "$suite" && seal new; then
            [ "$suite" = sid ] || warn "THE ENGINES 28-* ARE OLDER THAN THEIR NAME: docker.io of Debian $suite"
            return
        fi
        warn "docker.io of Debian $suite does not work here"
    done
    die "no newer docker.io could be downloaded that runs on this machine"
}

fetch_suite() {
    local suite=$1 apt=$packages/apt-$1 uri keyring
    # apt itself reads the one-line and the deb822 format; security and local
    # repositories have other labels.
    # shellcheck disable=SC2016
    uri=$(apt-get indextargets --format '$(LABEL) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 == "main" {print $3}' | sed -n 1p)
    [ -n "$uri" ] || die "this machine's package sources name no Debian archive"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    {
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$uri" "$suite"
        for keyring in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
            [ -e "$keyring" ] && { echo "Signed-By: $keyring"; break; }
        done
    } >"$apt/debian.sources"
    local apt_options=(
        -o APT::Sandbox::User=root
        -o Dir::Etc::sourcelist="$apt/debian.sources" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
        -o Dir::State::Lists="$apt/lists" -o Dir::State::status=/dev/null
        -o Dir::Cache="$apt/cache" -o Acquire::Languages=none
    )
    apt-get "${apt_options[@]}" -q update >&2 || return 1
    fetch_debs "$packages/new" docker.io docker-cli docker-buildx containerd || return 1
    rm -rf "$apt"
}

# Proves that what was unpacked runs on this machine, then gives it its name.
seal() {
    local part=$packages/$1.part program
    for program in dockerd containerd docker; do
        if ! PATH="$part/usr/sbin:$part/usr/bin" "$program" --version >&2; then
            return 1
        fi
    done
    # buildx is found through a configuration folder, never the user's ~/.docker.
    mkdir -p "$part/config/cli-plugins"
    local plugin
    for plugin in usr/libexec/docker/cli-plugins usr/lib/docker/cli-plugins; do
        [ -e "$part/$plugin/docker-buildx" ] && ln -sf "../../$plugin/docker-buildx" "$part/config/cli-plugins/docker-buildx"
    done
    rm -rf "$part/debs"
    touch "$part/ok"
    rm -rf "${packages:?}/$1"
    mv "$part" "$packages/$1"
}

package_of() { case $1 in debian) echo own ;; *) echo new ;; esac; }

# The programs' search path: the package set, but always the machine's own runc
# and the static init for `docker run --init`.
path_of() {
    local root
    root=$packages/$(package_of "$1")
    mkdir -p "$packages/runtime"
    ln -sfn ../own/usr/sbin/runc "$packages/runtime/runc"
    ln -sfn ../own/usr/bin/tini-static "$packages/runtime/docker-init"
    echo "$packages/runtime:$root/usr/sbin:$root/usr/bin:$base_path"
}

# --- asking engines -------------------------------------------------------------

answers() { # ADDRESS
    local reply=
    if have curl; then
        case $1 in
            unix://*) reply=$(curl -s -m 5 --noproxy "*" --unix-socket "${1#unix://}" http://docker/_ping 2>/dev/null || true) ;;
            tcp://*) [ -n "${DOCKER_TLS_VERIFY:-}" ] || reply=$(curl -s -m 5 --noproxy "*" "http://${1#tcp://}/_ping" 2>/dev/null || true) ;;
        esac
        [ "$reply" = OK ] && return
        case $1 in unix://*) return 1 ;; esac
    fi
    # ssh, TLS, or no curl: the CLI knows how.
    have docker && env -u DOCKER_CONTEXT DOCKER_HOST="$1" docker version -f '{{.Server.Version}}' >/dev/null 2>&1
}

cli() {
    if have docker; then command -v docker; return; fi
    locked packages install_own
    echo "$packages/own/usr/bin/docker"
}

docker_on() { # ADDRESS ARG...
    local address=$1
    shift
    env -u DOCKER_CONTEXT DOCKER_HOST="$address" "$docker_cli" "$@"
}

found() {
    if [ -n "${DOCKER_HOST:-}" ]; then
        if answers "$DOCKER_HOST"; then echo "$DOCKER_HOST"; return; fi
        warn "DOCKER_HOST is $DOCKER_HOST, but nothing answers there"
    fi
    local address
    if [ -z "${DOCKER_HOST:-}" ] && have docker; then
        address=$(docker context inspect -f '{{.Endpoints.docker.Host}}' 2>/dev/null || true)
        if [ -n "$address" ] && answers "$address"; then echo "$address"; return; fi
    fi
    address=unix:///var/run/docker.sock
    answers "$address" || return 1
    echo "$address"
}

use() { found || up debian; }

# --- one engine -----------------------------------------------------------------

state_of() { echo "$home/$1"; }
address_of() { echo "unix://$(state_of "$1")/docker.sock"; }

# The daemon's process id, if it is still the one that we started: an id alone
# may long belong to somebody else.
pid_of() {
    local state pid
    state=$(state_of "$1")
    pid=$(cat "$state/docker.pid" 2>/dev/null) || return 1
    tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -xF -- "$state/daemon.json" >/dev/null || return 1
    echo "$pid"
}

runs() { pid_of "$1" >/dev/null && answers "$(address_of "$1")"; }

# Interface names have at most 15 letters, so the state folder goes in as a sum.
bridge_of() { printf 'bowline%08x\n' "$(state_of "$1" | cksum | cut -d' ' -f1)"; }

# 10.213.N.1/24 for the first N that neither an address nor a route of this
# machine overlaps.
free_subnet() {
    local n start net
    start=$(($(state_of "$1" | cksum | cut -d' ' -f1) % 200))
    for n in $(seq "$start" 249) $(seq 0 "$start"); do
        net=10.213.$n.0/24
        # Routes inside it, routes around it, addresses in it.
        [ -z "$(
            ip -4 route show root "$net"
            ip -4 route show match "$net" | grep -v '^default'
            ip -4 -o addr show to "$net"
        )" ] || continue
        echo "10.213.$n.1/24"
        return
    done
    die "no free subnet 10.213.*.0/24 for the engine's bridge"
}

make_bridge() {
    local bridge subnet
    bridge=$(bridge_of "$1")
    ip link show "$bridge" >/dev/null 2>&1 && return
    subnet=$(free_subnet "$1")
    ip link add "$bridge" type bridge
    ip addr add "$subnet" dev "$bridge"
    ip link set "$bridge" up
}

# A real mount in the place where it will be used: overlay on overlay, or on some
# filesystems, is refused.
overlay_works() { # DATA ROOT
    local dir=$1/overlay-check ok=1
    mkdir -p "$dir"/{lower,upper,work,merged}
    echo x >"$dir/lower/file"
    if mount -t overlay overlay -o "lowerdir=$dir/lower,upperdir=$dir/upper,workdir=$dir/work" "$dir/merged" 2>/dev/null; then
        rm -f "$dir/merged/file" 2>/dev/null && [ -c "$dir/upper/file" ] && ok=0
        umount "$dir/merged"
    fi
    rm -rf "$dir"
    return $ok
}

write_config() { # NAME DATA
    local state driver containerd=false
    state=$(state_of "$1")
    driver=overlay2
    case $1 in *-containerd) containerd=true driver=overlayfs ;; esac
    if ! overlay_works "$2"; then
        case $driver in overlay2) driver=vfs ;; *) driver=native ;; esac
        warn "OVERLAY MOUNTS DO NOT WORK IN $2: engine $1 uses the slow storage driver $driver"
    fi
    # iptables stays off: a daemon that starts flushes the chains of those that
    # run, and a developer's own engine and firewall must not notice ours.
    # Containers reach each other and the host, which is all that tests need.
    {
        echo '{'
        case $1 in 28-*) echo "  \"features\": {\"containerd-snapshotter\": $containerd}," ;; esac
        echo "  \"storage-driver\": \"$driver\","
        echo '  "iptables": false,'
        echo '  "shutdown-timeout": 5,'
        echo "  \"bridge\": \"$(bridge_of "$1")\""
        echo '}'
    } >"$state/daemon.json"
}

start() { # NAME
    if runs "$1"; then return; fi
    need_debian_root
    install_tools
    stop "$1" # whatever a killed one left behind
    local state data
    state=$(state_of "$1")
    # 107 bytes is what the kernel takes; containerd's socket is the longest.
    [ ${#state} -le 70 ] || die "the path $state is too long for sockets: set BOWLINE_ENGINE_HOME to a shorter one"
    mkdir -p "$state"
    data=$state/data
    if [ "${BOWLINE_ENGINE_TMPFS:-}" = 1 ]; then
        data=/dev/shm/$(bridge_of "$1")
        ln -sfn "$data" "$state/data"
    fi
    mkdir -p "$data"
    if [ -n "${BOWLINE_ENGINE_SIZE:-}" ]; then
        mount -t tmpfs -o "size=$BOWLINE_ENGINE_SIZE" tmpfs "$data"
    fi
    write_config "$1" "$data"
    make_bridge "$1"
    run_daemon "$1"
}

run_daemon() { # NAME
    local state data pid deadline
    state=$(state_of "$1")
    data=$(readlink -f "$state/data")
    say "starting engine $1, log in $state/docker.log"
    (
        # The caller may wait for the end of our output, and the next caller for
        # our lock: the daemon must hold neither.
        for fd in $lock_fds; do eval "exec $fd>&-"; done
        ulimit -n 65536 2>/dev/null || true
        cd /
        PATH=$(path_of "$1") exec setsid dockerd \
            --config-file "$state/daemon.json" --host "$(address_of "$1")" \
            --data-root "$data" --exec-root "$state/exec" --pidfile "$state/docker.pid" \
            </dev/null >>"$state/docker.log" 2>&1
    ) &
    pid=$!
    deadline=$((SECONDS + 90))
    until runs "$1"; do
        if ! kill -0 "$pid" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            say "the end of $state/docker.log:"
            tail -n 15 "$state/docker.log" | cut -c1-300 >&2
            [ "$SECONDS" -lt "$deadline" ] || die "engine $1 does not answer after 90 s"
            die "engine $1 did not start: $(tail -n 1 "$state/docker.log")"
        fi
        sleep 0.2
    done
}

up() {
    check_name "$1"
    if ! runs "$1"; then
        locked packages "install_$(package_of "$1")"
        locked "$1" start "$1"
    fi
    address_of "$1"
}

again() {
    check_name "$1"
    [ -d "$(state_of "$1")" ] || die "there is no engine $1 to start again"
    local pid
    pid=$(cat "$(state_of "$1")/docker.pid" 2>/dev/null || true)
    # The daemon refuses to start while this process exists, even as a zombie.
    if [ -n "$pid" ]; then end "$pid" 30; fi
    # An old daemon does not find back to the containerd that it had started.
    for pid in $(leftovers "$(state_of "$1")/exec"); do end "$pid" 2; done
    rm -f "$(state_of "$1")/docker.pid"
    locked "$1" run_daemon "$1"
}

# Ends a process by its id: first asked, then forced.
end() { # PID SECONDS
    local deadline=$((SECONDS + $2))
    kill -TERM "$1" 2>/dev/null || return 0
    while alive "$1"; do
        [ "$SECONDS" -lt "$deadline" ] || kill -KILL "$1" 2>/dev/null || true
        sleep 0.1
    done
}
# A zombie is dead: in a container the first process may never collect it.
alive() { grep -s '^State:' "/proc/$1/status" | grep -qv 'Z (zombie)'; }

stop() { # NAME
    local state pid bridge
    state=$(state_of "$1")
    [ -d "$state" ] || return 0
    if pid=$(pid_of "$1"); then
        say "stopping engine $1"
        if answers "$(address_of "$1")"; then empty "$1"; fi
        end "$pid" 30
    fi
    # Only after a daemon was killed is there more: its containerd, the shims and
    # the containers below them.
    for pid in $(leftovers "$state/exec"); do end "$pid" 2; done
    awk -v dir="$state/" -v shm="/dev/shm/$(bridge_of "$1")/" \
        'index($5, dir) == 1 || index($5, shm) == 1 {print $5}' /proc/self/mountinfo | sort -r |
        while read -r mount; do umount -l "$mount" || warn "could not unmount $mount"; done
    # Bridges of networks that a killed daemon left: named after the network's id,
    # which its database holds.
    for bridge in $(ip -o link show type bridge 2>/dev/null | sed -n 's/^[0-9]*: br-\([0-9a-f]*\):.*/\1/p'); do
        if grep -qs -- "$bridge" "$state/data/network/files/local-kv.db"; then ip link delete "br-$bridge"; fi
    done
    bridge=$(bridge_of "$1")
    if ip link show "$bridge" >/dev/null 2>&1; then ip link delete "$bridge"; fi
    rm -rf "$state" "/dev/shm/$bridge"
}

# Removes containers and networks while the daemon is there to do it: it would
# wait for containers that ignore SIGTERM, and leave networks' bridges behind.
empty() {
    local docker containers
    docker=$packages/$(package_of "$1")/usr/bin/docker
    containers=$(DOCKER_HOST=$(address_of "$1") timeout 20 "$docker" ps -aq || true)
    # shellcheck disable=SC2086
    [ -z "$containers" ] || DOCKER_HOST=$(address_of "$1") timeout 60 "$docker" rm -fv $containers >/dev/null || true
    DOCKER_HOST=$(address_of "$1") timeout 20 "$docker" network prune -f >/dev/null || true
}

# containerd and its shims carry the exec root, which is ours alone, in their
# arguments; the shims' children are the containers.
leftovers() { # EXEC ROOT
    local dir
    for dir in /proc/[0-9]*; do
        grep -sq '^containerd' "$dir/comm" || continue
        tr '\0' ' ' 2>/dev/null <"$dir/cmdline" | grep -F -- "$1/" >/dev/null || continue
        cat "$dir"/task/*/children 2>/dev/null | tr ' ' '\n'
        echo "${dir#/proc/}"
    done | awk 'NF && !seen[$1]++'
}

down() {
    local name
    if [ "$1" = all ]; then
        for name in $(matrix); do down "$name"; done
        return
    fi
    check_name "$1"
    [ -d "$(state_of "$1")" ] || return 0
    locked "$1" stop "$1"
}

# --- busybox --------------------------------------------------------------------

# Built here because tests must not need a registry. Sorted names, no times and
# fixed owners: every engine gets the same layer. --owner instead of chown, so
# that it needs no root.
busybox_tar() { # BUSYBOX OUTPUT
    local root
    root=$(mktemp -d)
    mkdir -p "$root"/{bin,dev,etc,home/app,proc,root,run,sys,tmp,usr/bin,usr/local/bin,usr/sbin,var/tmp}
    cp "$1" "$root/bin/busybox"
    local applet
    for applet in $("$1" --list); do
        # Hard links, as in the official image: any of them can be copied alone.
        [ "$applet" = busybox ] || ln "$root/bin/busybox" "$root/bin/$applet"
    done
    ln -s ../run "$root/var/run"
    cat >"$root/etc/passwd" <<'END'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
app:x:1000:1000:app:/home/app:/bin/sh
nobody:x:65534:65534:nobody:/home:/bin/false
END
    cat >"$root/etc/group" <<'END'
root:x:0:
daemon:x:1:
tty:x:5:
staff:x:50:app
app:x:1000:
nogroup:x:65534:
END
    chmod -R u=rwX,go=rX "$root"
    chmod 0755 "$root/bin/busybox"
    chmod 1777 "$root/tmp" "$root/var/tmp"
    chmod 0700 "$root/root"
    local options=(--sort=name --format=ustar --mtime=@0 --numeric-owner -C "$root")
    tar -cf "$2" "${options[@]}" --owner=0 --group=0 --exclude=./home/app \
        --transform='flags=r;s,^\./,,' ./bin ./dev ./etc ./home ./proc ./root ./run ./sys ./tmp ./usr ./var
    tar -rf "$2" "${options[@]}" --owner=1000 --group=1000 home/app
    rm -rf "$root"
}

busybox() { # ADDRESS
    docker_cli=$(cli)
    answers "$1" || die "no engine answers at $1"
    if docker_on "$1" image inspect busybox:latest >/dev/null 2>&1; then return; fi
    if [ "${BOWLINE_PULL:-}" = 1 ]; then
        docker_on "$1" pull busybox:latest >&2
        return
    fi
    if [ ! -e "$packages/own/ok" ] && { ! have apt-get || [ "$(id -u)" != 0 ]; }; then
        die "the image busybox:latest is missing at $1: run \`docker pull busybox\`, or set BOWLINE_PULL=1"
    fi
    locked packages install_own
    local binary layer
    binary=$packages/own/bin/busybox
    [ -e "$binary" ] || binary=$packages/own/usr/bin/busybox
    layer=$(mktemp)
    busybox_tar "$binary" "$layer"
    say "importing busybox:latest at $1"
    docker_on "$1" import \
        -c 'CMD ["sh"]' -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        "$layer" busybox:latest >&2
    rm -f "$layer"
}

# --- commands -------------------------------------------------------------------

run_docker() { # NAME ARG...
    local name=$1
    check_name "$name"
    shift
    pid_of "$name" >/dev/null || die "engine $name does not run: \`tests/engine.sh up $name\`"
    unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
    DOCKER_HOST=$(address_of "$name") DOCKER_CONFIG=$packages/$(package_of "$name")/config \
        PATH=$(path_of "$name") exec docker "$@"
}

status() {
    local name
    for name in $(matrix); do
        if runs "$name"; then echo "$name $(address_of "$name")"; fi
    done
}

argument() { [ $# -ge 2 ] || { usage >&2; exit 2; }; }

case ${1:-} in
    up | again | down | busybox) argument "$@"; "$1" "$2" ;;
    docker) argument "$@"; shift; run_docker "$@" ;;
    found | use | matrix | status | cli) "$1" ;;
    -h | --help | help) usage ;;
    *) usage >&2; exit 2 ;;
esac
