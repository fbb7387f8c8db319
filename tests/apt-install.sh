#!/bin/sh
# Installs the Debian packages that the command line names. As root.
#
# Patient, for a machine may be new: its own updates hold apt's locks, and a mirror has bad moments.
set -eu

export DEBIAN_FRONTEND=noninteractive

try() {
    # The lists' lock is waited for by nobody: whoever is late there comes round again below.
    apt-get -qq -o Acquire::Retries=5 update &&
        apt-get install -y -qq -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300 \
            --no-install-recommends "$@"
}

for pause in 10 30 90; do
    try "$@" && exit 0
    echo "apt-get did not succeed; once more in $pause s" >&2
    sleep "$pause"
done
try "$@"
