#!/bin/sh
# Starts the live shape of a target anew, so that it runs what was deployed last: restart_live.sh TARGET [--var …]
set -eu
if [ $# -eq 0 ]; then
  echo "name the target: scripts/restart_live.sh dev, staging or prod" >&2
  exit 2
fi
target=$1
shift
if ! command -v databricks >/dev/null 2>&1; then
  echo "the Databricks CLI is needed and was not found: install it" >&2
  exit 3
fi
summary=$(databricks bundle summary --target "$target" --output json "$@")
# Jobs of a shape that run by themselves and have no end: one that ends begins each run with what is deployed.
jobs=$(printf '%s' "$summary" | python3 -c '
import json, sys
for key, job in json.load(sys.stdin).get("resources", {}).get("jobs", {}).items():
    when = job.get("continuous") or job.get("schedule") or {}
    if "shape" not in job.get("tags", {}) or when.get("pause_status") != "UNPAUSED":
        continue
    told = [task.get("python_wheel_task", {}).get("named_parameters", {}) for task in job["tasks"]]
    if any(parameters.get("trigger") != "available-now" for parameters in told):
        print(key)
')
if [ -z "$jobs" ]; then
  echo "target $target: no shape without an end is live, nothing to start anew"
  exit 0
fi
for job in $jobs; do
  echo "starting $job anew"
  databricks bundle run "$job" --target "$target" --restart --no-wait "$@"
done
