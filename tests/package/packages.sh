#!/bin/sh
# Installs what `make package-test` needs. For Debian 12, as root.
set -eu

packages="
    mmdebstrap lintian
    bash zsh
    python3-requests python3-jinja2 python3-yaml
"

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --no-install-recommends $packages
