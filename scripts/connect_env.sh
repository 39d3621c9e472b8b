#!/bin/sh
# Makes .venv-connect: this project with Databricks Connect. Connect needs Python 3.12 and brings its own pyspark, which
# must not share an environment with the one in .venv. See docs/editor.md.
set -eu
cd "$(dirname "$0")/.."
folder=.venv-connect
# At most the version of the compute's runtime: 18.3 goes with runtime 18 LTS.
connect='databricks-connect==18.3.*'

is_312() {
  "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' >/dev/null 2>&1
}

if [ -e "$folder" ] && ! is_312 "$folder/bin/python"; then
  echo "$folder exists without Python 3.12: remove that folder and run this script again" >&2
  exit 1
fi
if [ ! -e "$folder" ]; then
  if command -v uv >/dev/null 2>&1; then
    uv venv --quiet --python 3.12 "$folder" || {
      echo "uv could not make an environment with Python 3.12: install it, or run uv python install 3.12" >&2
      exit 1
    }
  else
    for python in "${PYTHON:-}" python3.12 python3 none; do
      if [ -n "$python" ] && is_312 "$python"; then
        break
      fi
    done
    if [ "$python" = none ]; then
      echo "Python 3.12 was not found: install it or uv, or set PYTHON=…" >&2
      exit 1
    fi
    "$python" -m venv "$folder" || {
      rm -rf "$folder"
      echo "$python could not make an environment: install its venv module (for instance python3.12-venv)" >&2
      exit 1
    }
  fi
fi

echo "installing this project and Databricks Connect into $folder"
if command -v uv >/dev/null 2>&1; then
  set -- uv pip install --quiet --python "$folder/bin/python"
else
  set -- "$folder/bin/python" -m pip install --quiet --disable-pip-version-check
fi
"$@" --editable . "$connect" || {
  echo "the packages could not be installed, see above: check network and proxy" >&2
  exit 1
}
if "$folder/bin/python" -c 'import importlib.metadata as m; m.version("pyspark")' >/dev/null 2>&1; then
  echo "$folder contains pyspark and Databricks Connect, which breaks both: remove that folder and run this again" >&2
  exit 1
fi
echo "ready: $folder/bin/python examples/try_feature.py (docs/editor.md says how to sign in)"
