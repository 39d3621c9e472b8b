#!/bin/sh
# Restarts the live shape of a target with the last deployment: restart_live.sh TARGET [--var …]
set -eu
if [ $# -eq 0 ]; then
  echo "name the target: scripts/restart_live.sh dev, staging or prod" >&2
  exit 2
fi
target=$1
shift
if ! command -v databricks >/dev/null 2>&1; then
  echo "the Databricks CLI was not found: install it" >&2
  exit 3
fi
summary=$(databricks bundle summary --target "$target" --output json "$@")
# Continuous shapes that are live. Runs of the other shapes end, and use the last deployment when they start again.
jobs=$(printf '%s' "$summary" | python3 -c '
import json, sys
for key, job in json.load(sys.stdin).get("resources", {}).get("jobs", {}).items():
    when = job.get("continuous") or job.get("schedule") or {}
    if "shape" not in job.get("tags", {}) or when.get("pause_status") != "UNPAUSED":
        continue
    parameters = [task.get("python_wheel_task", {}).get("named_parameters", {}) for task in job["tasks"]]
    if any(task.get("trigger") != "available-now" for task in parameters):
        print(key)
')
if [ -z "$jobs" ]; then
  echo "target $target: no continuous shape is live, nothing to restart"
  exit 0
fi
for job in $jobs; do
  echo "restarting $job"
  databricks bundle run "$job" --target "$target" --restart --no-wait "$@"
done
