#!/usr/bin/env bash
# dap_client.sh PROGRAM FOLDER: debugs a build of the folder with the client of the Debug Adapter
# Protocol that VS Code's project publishes on npm to test adapters with. It is installed once and
# kept beside the engines' packages (BOWLINE_ENGINE_HOME).
set -euo pipefail
version=1.68.0
packages=${BOWLINE_ENGINE_HOME:-/var/tmp/bowline-engines}/packages
client=$packages/debugadapter-testsupport-$version
here=$(cd "$(dirname "$0")" && pwd)
say() { echo "dap_client.sh: $*" >&2; }

mkdir -p "$packages"
exec 9>"$packages/dap.lock"
flock 9
if ! command -v npm >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends nodejs npm >&2
fi
command -v npm >/dev/null || { say "there is no \`npm\`: install it (\`apt-get install nodejs npm\`)"; exit 1; }
if [ ! -d "$client" ]; then
    say "installing @vscode/debugadapter-testsupport"
    rm -rf "$client.part"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$client.part" \
        "@vscode/debugadapter-testsupport@$version" >&2
    mv "$client.part" "$client"
fi
flock -u 9
NODE_PATH=$client/node_modules exec node "$here/dap_client.js" "$@"
