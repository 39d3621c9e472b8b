#!/bin/sh
# Checks for Java 17 or 21, which Spark 4 needs; prints one line on stderr if it is missing.
set -u
if [ -n "${JAVA_HOME:-}" ]; then
  java="$JAVA_HOME/bin/java"
else
  java=$(command -v java || true)
fi
if [ -z "$java" ] || [ ! -x "$java" ]; then
  echo "Java 17 or 21 is needed and none was found: install a JDK (for instance openjdk-17) or set JAVA_HOME" >&2
  exit 1
fi
version=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
case "$version" in
  17 | 21) exit 0 ;;
  *)
    echo "Java 17 or 21 is needed and $java is version ${version:-unknown}: set JAVA_HOME to the right one" >&2
    exit 1
    ;;
esac
