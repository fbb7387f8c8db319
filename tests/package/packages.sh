#!/bin/sh
# Installs what `make package-test` needs. For Debian 12, as root.
set -eu

packages="
    mmdebstrap lintian
    bash zsh
    python3-venv python3-requests python3-jinja2 python3-yaml
"

# shellcheck disable=SC2086 # a list of words
"$(dirname "$0")/../apt-install.sh" $packages
