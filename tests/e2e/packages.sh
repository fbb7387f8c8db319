#!/bin/sh
# Installs what `make e2e` and `make web` drive: monitoring servers, a browser; and what checks manual
# pages. `packages.sh servers`: only the servers and a Python, on Debian 12 or 13. As root; starts
# none of it: the tests run each in a scratch folder of its own.
set -eu

packages="
    nagios4-core
    icinga2-bin icingacli icingaweb2-module-director
    zabbix-server-pgsql zabbix-frontend-php zabbix-sender postgresql
    php-cli php-pgsql php-gd php-bcmath php-mbstring php-xml php-curl
    php-illuminate-validation
    python3 python3-venv python3-requests python3-jinja2 python3-yaml
"

# For Debian 12: 13 has no php-codesniffer, and the rest needs no second generation.
[ "${1:-}" = servers ] || packages="$packages
    php-codesniffer
    chromium
    man-db groff mandoc
"

# A package that starts its service on installation is told not to.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
fi

# shellcheck disable=SC2086 # a list of words
"$(dirname "$0")/../apt-install.sh" $packages
