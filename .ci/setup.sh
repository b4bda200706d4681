#!/bin/sh
# Make the virtual environment. Usage: setup.sh PYTHON FOLDER
set -eu
python=$1
venv=$2

if ! command -v "$python" >/dev/null 2>&1; then
    echo "setup: '$python' is not there. Install Python 3.11 or newer, or name it: make setup PYTHON=/path/to/python3" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "setup: $("$python" --version) is too old; Dure needs Python 3.11 or newer: make setup PYTHON=/path/to/python3.11" >&2
    exit 1
fi

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        if [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ] && command -v apt-get >/dev/null; then
            package=$("$python" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")')
            echo "setup: installing $package"
            apt-get update -qq
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" ||
                DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
        else
            echo "setup: this Python cannot make virtual environments; install its venv module (Debian: apt install python3-venv)" >&2
            exit 1
        fi
    fi
    "$python" -m venv --clear "$venv"
fi

# Dependency groups need pip 25.1.
"$venv/bin/python" -m pip install -q --upgrade 'pip>=25.1'
"$venv/bin/python" -m pip install -q --group dev -e '.[demo,simulate]'
echo "setup: compiling the planner, and beside it the simulator, which takes a minute or two"
"$venv/bin/python" -c "from dure.simulator.trial.warm import warm; warm()" &
"$venv/bin/python" -c "from dure.scheduler.warm import warm; warm()"
wait $!
echo "setup: ready in $venv"
