#!/usr/bin/env bash
# Checks everything: lints, unit tests, then the end-to-end suite against every
# engine of the matrix. Arguments go to the test binaries (a filter, for example).
#
# BOWLINE_TEST_MATRIX   engines to test against, of `tests/engine.sh matrix`
# BOWLINE_KEEP_ENGINES  1: leave engines running that this script started
# BOWLINE_TEST_KILLS    how many builds the fault tests kill on each engine
# BOWLINE_TEST_CONFORMANCE  1: also the cases recorded with BuildKit (minutes an engine)
#
# Without BOWLINE_TEST_MATRIX, an engine that answers already is enough; CI=true,
# or no such engine, means the whole matrix. The suite finds its engine through
# DOCKER_HOST, and its name ("own" for the user's) in BOWLINE_TEST_ENGINE.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "run.sh: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

work=$(mktemp -d)
started=()
passed=0 failed=0 ignored=0   # over everything
summary=()

clean_up() {
    local name
    for name in ${started[@]+"${started[@]}"}; do
        tests/engine.sh down "$name" || say "could not stop engine $name"
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

need_rust() {
    have cargo || PATH=$PATH:$HOME/.cargo/bin
    if ! have cargo; then
        say "there is no \`cargo\`: install Rust (https://rustup.rs), at least $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml), with rustfmt and clippy"
        exit 1
    fi
    # Some crates compile C.
    if ! have cc && have apt-get && [ "$(id -u)" = 0 ]; then
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends gcc libc6-dev
    fi
    if ! have cc; then
        say "there is no C compiler: install one (\`apt-get install gcc libc6-dev\`)"
        exit 1
    fi
}

headline() { printf '\n=== %s\n' "$*"; }

# count NAME COMMAND...: runs tests, shows all they print and adds up cargo's
# result lines. A run that fails without reporting a failed test (it did not
# compile, it crashed) counts as one failure: a failure must never look like none.
count() {
    local name=$1 status=0 sums
    shift
    headline "$name"
    "$@" 2>&1 | tee "$work/output" || status=$?
    sums=$(sed 's/\x1b\[[0-9;]*m//g' "$work/output" |
        awk '/^test result: / {p += $4; f += $6; i += $8} END {print p + 0, f + 0, i + 0}')
    local p f i
    read -r p f i <<<"$sums"
    if [ "$status" != 0 ] && [ "$f" = 0 ]; then f=1; fi
    passed=$((passed + p)) failed=$((failed + f)) ignored=$((ignored + i))
    summary+=("$name: $p passed, $f failed, $i ignored")
}

# Only its failure counts: a lint is no test, but the run must fail.
lint() {
    headline "$*"
    "$@" && return
    failed=$((failed + 1))
    summary+=("$*: FAILED")
}

matrix() {
    if [ -n "${BOWLINE_TEST_MATRIX:-}" ]; then
        echo "$BOWLINE_TEST_MATRIX"
    elif [ "${CI:-}" != true ] && tests/engine.sh found >/dev/null; then
        echo own
    else
        tests/engine.sh matrix
    fi
}

# engine_ready NAME: the engine runs and has a base image; its address is in $address.
engine_ready() {
    if [ "$1" = own ]; then
        address=$(tests/engine.sh found) || return 1
    else
        case $'\n'$running in *$'\n'"$1 "*) ;; *) started+=("$1") ;; esac
        tests/engine.sh up "$1" >"$work/address" || return 1
        address=$(cat "$work/address")
    fi
    tests/engine.sh busybox "$address"
}

end_to_end() {
    local name=$1
    headline "starting engine $name"
    # Shown as it comes, and kept for the last line: the reason if it fails.
    exec 3>&2
    if ! engine_ready "$name" 2> >(tee "$work/log" >&3); then
        wait $! 2>/dev/null || true
        summary+=("ENGINE $name COULD NOT BE INSTALLED: $(tail -n 1 "$work/log" | sed 's/^engine.sh: //')")
        echo "${summary[${#summary[@]} - 1]}"
        return
    fi
    engines=$((engines + 1))
    local settings=(DOCKER_HOST="$address" BOWLINE_TEST_ENGINE="$name")
    # What belongs to the user's own engine must not reach another one.
    [ "$name" = own ] || settings=(-u DOCKER_CONTEXT -u DOCKER_TLS_VERIFY -u DOCKER_CERT_PATH "${settings[@]}")
    local own=()
    # These kill engines and fill their disks.
    if [ "$name" = own ]; then
        own=(--skip faults::)
        summary+=("faults: NOT RUN, they need engines of their own: BOWLINE_TEST_MATRIX adds them")
    fi
    count "engine $name" env "${settings[@]}" cargo test --test bowline -- "${arguments[@]+"${arguments[@]}"}" "${own[@]+"${own[@]}"}"
}

arguments=("$@")
# Hundreds of builds, recorded with one engine and not yet judged on the others.
if [ "${BOWLINE_TEST_CONFORMANCE:-}" != 1 ]; then
    arguments+=(--skip conformance::)
    summary+=("conformance: NOT RUN, BOWLINE_TEST_CONFORMANCE=1 adds it")
fi
for name in ${BOWLINE_TEST_MATRIX:-}; do
    case " $(tests/engine.sh matrix | paste -sd ' ') " in
        *" $name "*) ;;
        *) say "BOWLINE_TEST_MATRIX names \`$name\`, but \`tests/engine.sh matrix\` does not"; exit 2 ;;
    esac
done
need_rust
lint cargo fmt --check
lint cargo clippy --all-targets -- -D warnings
count "unit tests" cargo test --lib --bins -- "${arguments[@]+"${arguments[@]}"}"

engines=0
running=$(tests/engine.sh status)
names=$(matrix)
for name in $names; do end_to_end "$name"; done
[ "${BOWLINE_KEEP_ENGINES:-}" != 1 ] || started=()

headline summary
printf '%s\n' "${summary[@]}"
code=0
[ "$failed" = 0 ] || code=1
if [ "$engines" = 0 ]; then
    echo "NO ENGINE AT ALL: the end-to-end suite did not run"
    code=1
fi
clean_up
trap - EXIT
echo "$passed passed, $failed failed"
exit "$code"
