#!/usr/bin/env bash
# Prints the path of Debian's docker-registry, the reference implementation of a registry. The
# package is downloaded and unpacked into a folder, never installed, so no service starts.
set -euo pipefail

if command -v docker-registry; then exit; fi
home=${BOWLINE_ENGINE_HOME:-/var/tmp/bowline-engines}
folder=$home/packages/registry
program=$folder/usr/bin/docker-registry
mkdir -p "$home/packages"
exec 9>"$home/packages/registry.lock"
flock 9
if [ ! -x "$program" ]; then
    download=$(mktemp -d "$home/packages/registry.XXXXXX")
    trap 'rm -rf "$download"' EXIT
    (cd "$download" && apt-get download docker-registry >&2)
    mkdir "$download/root"
    dpkg-deb -x "$download"/docker-registry_*.deb "$download/root"
    rm -rf "$folder"
    mv "$download/root" "$folder"
fi
echo "$program"
