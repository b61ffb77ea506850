#!/usr/bin/env bash
# Prints the path of a tar with a file system that has Python, from this machine's packages, and
# boto3, from the Python package index: a real client of a cloud's credential service. It is made
# once and kept beside the engines' packages (BOWLINE_ENGINE_HOME).
set -euo pipefail

home=${BOWLINE_ENGINE_HOME:-/var/tmp/bowline-engines}/packages
tar=$home/sdk.tar
say() { echo "sdk.sh: $*" >&2; }

mkdir -p "$home"
exec 9>"$home/sdk.lock"
flock 9
if [ ! -e "$tar" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/debs" "$work/wheels" "$work/root"
    command -v python3 >/dev/null || { say "there is no \`python3\`: install it (\`apt-get install python3-pip\`)"; exit 1; }
    version=$(apt-cache depends python3-minimal | sed -n 's/.*Depends: python\(3\.[0-9]*\)-minimal/\1/p' | head -1)
    if [ -z "$version" ]; then
        apt-get update -q >&2
        version=$(apt-cache depends python3-minimal | sed -n 's/.*Depends: python\(3\.[0-9]*\)-minimal/\1/p' | head -1)
    fi
    say "downloading Python $version and boto3"
    # What CPython and its `ssl`, `ctypes` and `xml` need, as the packages say themselves.
    packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
        --no-replaces --no-enhances "python$version" | grep -E '^(lib|python3\.|zlib)[a-z0-9.+-]*$' | sort -u |
        grep -vE '^(libc-bin|libpam|libaudit|libselinux|libmount|libblkid|libsmartcols|libsystemd|libdb5|libdebconf|libtext|libperl|liblocale)')
    # shellcheck disable=SC2086
    download() { (cd "$work/debs" && apt-get -o APT::Sandbox::User=root -q download $packages) >&2; }
    download || { apt-get update -q >&2; download; }
    for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
    python3 -m pip download --quiet --disable-pip-version-check --only-binary=:all: \
        --python-version "$version" --dest "$work/wheels" boto3 >&2
    for wheel in "$work"/wheels/*.whl; do
        python3 -m zipfile -e "$wheel" "$work/root/usr/lib/python3/dist-packages"
    done
    # Of a hundred services' descriptions, one is enough.
    data=$work/root/usr/lib/python3/dist-packages/botocore/data
    find "$data" -mindepth 1 -maxdepth 1 -type d ! -name sts -exec rm -r {} +
    rm -rf "$work"/root/usr/share/{doc,man,lintian} "$work/root/usr/lib/python$version/test"
    ln -sf "python$version" "$work/root/usr/bin/python3"
    # Old packages still bring a `/lib` beside a merged `/usr`.
    for folder in lib lib64 bin; do [ -d "$work/root/$folder" ] || ln -s "usr/$folder" "$work/root/$folder"; done
    tar --owner=0 --group=0 -C "$work/root" -cf "$tar.part" .
    mv "$tar.part" "$tar"
fi
echo "$tar"
