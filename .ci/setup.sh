#!/usr/bin/env bash
# Makes the virtual environment: quiet unless it fails. Arguments: its folder, the version of uv.
set -euo pipefail
venv=$1 uv=$2 began=$SECONDS

python=
for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
  if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "Python 3.11 or newer was not found. Install it, or say where it is: make PYTHON=/path/to/python3" >&2
  exit 1
fi

mkdir -p "$venv"
log=$venv/setup.log
echo "Setting up (once, about half a minute) ..."
steps() {
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || {
    echo "python -m venv failed. On Debian or Ubuntu: apt-get install python3-venv" >&2
    return 1
  }
  if "$venv/bin/python" -m pip install -q --disable-pip-version-check "uv==$uv"; then
    VIRTUAL_ENV=$venv "$venv/bin/python" -m uv pip install -q --require-hashes -r requirements.lock
    VIRTUAL_ENV=$venv "$venv/bin/python" -m uv pip install -q --no-deps -e .
  else
    "$venv/bin/python" -m pip install -q --require-hashes -r requirements.lock
    "$venv/bin/python" -m pip install -q --no-deps -e .
  fi
  settings=$venv/share/jupyter/lab/settings
  mkdir -p "$settings"
  echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' >"$settings/overrides.json"
}
set +e
(set -e; steps) >"$log" 2>&1
status=$?
set -e
if [ $status -ne 0 ]; then
  echo "Setting up failed. The last lines of $log:" >&2
  tail -n 20 "$log" >&2
  exit 1
fi
echo "Ready after $((SECONDS - began)) s."
