#!/usr/bin/env bash
# Gives the next steps of a CI job the bundle's variables that the GitHub environment sets: see docs/ci.md.
# An empty BUNDLE_VAR_<name> would replace the default in databricks.yml, so an empty value is not set.
set -euo pipefail

PRINCIPAL=${DATABRICKS_CLIENT_ID:-}
for name in DATABRICKS_HOST DATABRICKS_CLIENT_ID; do
  [ -n "${!name:-}" ] || { echo "::error::$name is empty: give the environment its variables, see docs/ci.md"; exit 1; }
done
for variable in $(sed -n 's/^# needs-var: //p' databricks.yml); do
  name=$(tr '[:lower:]' '[:upper:]' <<< "$variable")
  [ -n "${!name:-}" ] ||
    { echo "::error::$name is empty: $variable has no default, give the environment this variable, see docs/ci.md"; exit 1; }
done
for variable in principal catalog alert_email tables_root; do
  name=$(tr '[:lower:]' '[:upper:]' <<< "$variable")
  [ -z "${!name:-}" ] || echo "BUNDLE_VAR_$variable=${!name}" >> "$GITHUB_ENV"
done
