#!/bin/sh
# Prints the first Python of version 3.11 to 3.13, or one line on stderr if it finds none.
set -u
for python in "${PYTHON:-}" python3 python3.12 python3.11 python3.13; do
  if [ -n "$python" ] && command -v "$python" >/dev/null 2>&1 &&
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
    echo "$python"
    exit 0
  fi
done
echo "Python 3.11, 3.12 or 3.13 was not found: install one or set PYTHON=…" >&2
exit 1
