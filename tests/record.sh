#!/usr/bin/env bash
# Records what BuildKit makes of the cases in fixtures/conformance, for
# tests/conformance.rs to compare with. Recording again changes nothing, unless a
# case or BuildKit has changed.
#
# usage: tests/record.sh [BEGINNING OF A CASE'S NAME...]
set -euo pipefail
cd "$(dirname "$0")/.."

engine=28-overlay2
address=$(tests/engine.sh up "$engine")
tests/engine.sh busybox "$address"

version() { tests/engine.sh docker "$engine" version --format "{{.Server.Version}}"; }
buildx() { tests/engine.sh docker "$engine" buildx version | cut -d ' ' -f 2; }
{
    echo "Recorded with the BuildKit of Docker Engine $(version)"
    echo "(overlay2 storage driver), through buildx $(buildx)."
} >fixtures/conformance/RECORDED

env -u DOCKER_CONTEXT -u DOCKER_TLS_VERIFY -u DOCKER_CERT_PATH \
    DOCKER_HOST="$address" BOWLINE_TEST_ENGINE="$engine" \
    BOWLINE_TEST_BUILDER=buildx BOWLINE_TEST_RECORD=1 BOWLINE_TEST_CASES="$*" \
    cargo test --test bowline -- --nocapture --skip every_case conformance::
git --no-pager diff --stat -- fixtures/conformance
