#!/bin/sh
# Prints the first Python that is new enough, or says in one line that there is none.
set -u
for python in "${PYTHON:-}" python3 python3.12 python3.11 python3.13; do
  if [ -n "$python" ] && command -v "$python" >/dev/null 2>&1 &&
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
    echo "$python"
    exit 0
  fi
done
echo "Python 3.11, 3.12 or 3.13 is needed and none was found: install one or give it as PYTHON=…" >&2
exit 1
