"""policies.yml: what a team decides changes what is accepted, and a mistake in it is reported with file and line."""

import re
from pathlib import Path

import pytest
import yaml

from sensor_streams.errors import ConfigurationError
from sensor_streams_dev.policies.job_files import broken_policies
from sensor_streams_dev.policies.policy_file import POLICY_FILE, load_policies
from tests.policies.edits import REMOVED, set_in_job, set_value
from tests.policies.golden import ROOT, copy_bundle, read

VALID = """\
retries: {shared_cluster: 3, cluster_per_task: -1}
notifications:
  kinds: [email, webhook]
  events: [on_failure]
  events_of_streams: []
clusters:
  access_modes: [SINGLE_USER]
  spot_driver: false
  autoscale: false
tags: [project]
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of the bundle to edit."""
    return copy_bundle(tmp_path)


def use_webhooks(folder: Path) -> None:
    """Notify a notification destination in place of an e-mail address, as docs/deploy.md shows."""
    page = (ROOT / "docs/deploy.md").read_text("utf-8")
    (shown,) = re.findall(r"```yaml\n(emails:.*?)```", page, re.DOTALL)
    for name, variable in yaml.safe_load(shown).items():
        set_value(folder, "databricks.yml", f"variables.{name}.default", variable["default"])


def test_a_webhook_in_place_of_the_email_breaks_no_policy(copied: Path) -> None:
    use_webhooks(copied)
    bundle = read("prod", copied)
    assert broken_policies(bundle) == []
    assert bundle.resources["jobs"]["train"]["tasks"][0]["webhook_notifications"]["on_failure"][0]["id"]


def test_a_kind_that_the_team_does_not_use_is_reported(copied: Path) -> None:
    set_value(copied, POLICY_FILE, "notifications.kinds", ["webhook"])
    set_value(copied, "databricks.yml", "variables.emails.default", ON_FAILURE)
    set_value(copied, "databricks.yml", "variables.webhooks.default", {})
    finding = r"resources/train\.job\.yml:\d+: job train: task train: no webhook_notifications\.on_failure: add it, or"
    assert [line for line in broken_policies(read("prod", copied)) if re.match(finding, line)]
    use_webhooks(copied)
    assert broken_policies(read("prod", copied)) == []


ON_SUCCESS, ON_FAILURE = {"on_success": ["a@example.org"]}, {"on_failure": ["a@example.org"]}
CLUSTER = "targets.dev.variables.cluster"
DEV = {"spark_version": "${var.runtime}", "node_type_id": "any", "data_security_mode": "SINGLE_USER"}


@pytest.mark.parametrize(
    ("policy", "changed", "file", "path", "value"),
    [
        ("retries.shared_cluster", 77, "shared_cluster", "tasks.{at}.max_retries", 77),
        ("retries.cluster_per_task", 77, "cluster_per_task", "tasks.{at}.max_retries", 77),
        ("notifications.events", [], "train", "tasks.0.email_notifications", ON_SUCCESS),
        ("notifications.events_of_streams", [], "single_task", "tasks.0.email_notifications", ON_FAILURE),
        ("clusters.spot_driver", True, "", CLUSTER, DEV | {"aws_attributes": {"availability": "SPOT"}}),
        ("clusters.autoscale", True, "", CLUSTER, DEV | {"autoscale": {"min_workers": 1, "max_workers": 2}}),
        ("clusters.access_modes", ["NONE"], "", CLUSTER, DEV | {"data_security_mode": "NONE"}),
        ("tags", [], "train", "tags", {"team": "a"}),
    ],
)  # fmt: skip
def test_a_changed_policy_accepts_what_was_reported(
    copied: Path, policy: str, changed: object, file: str, path: str, value: object
) -> None:
    set_value(copied, POLICY_FILE, "notifications.kinds", ["email", "webhook"])
    if file:
        for at in range(2 if "{at}" in path else 1):
            set_in_job(copied, file, path.format(at=at), value)
            if "notifications" in path:
                set_in_job(copied, file, "tasks.0.webhook_notifications", REMOVED)
    else:
        set_value(copied, "databricks.yml", path, value)
    broken = broken_policies(read("dev", copied, strict=False))
    assert broken
    assert all(re.search(rf"change {policy} in policies\.yml:\d+", line) for line in broken), broken
    set_value(copied, POLICY_FILE, policy, changed)
    assert broken_policies(read("dev", copied, strict=False)) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("shared_cluster: 3", "shared_cluster: three", "1, retries.shared_cluster: is 'three': write a whole number"),
        ("shared_cluster: 3", "shared_cluster: -2", "1, retries.shared_cluster: is -2: write a whole number; -1 means"),
        ("shared_cluster: 3", "shared: 3", "1, retries.shared: is not a policy: correct the name, or remove it"),
        ("tags: [project]", "", "1, tags: is missing: add it"),
        ("tags: [project]", "tags: project", "10, tags: write a list, such as [a, b]"),
        ("[email, webhook]", "[mail]", "3, notifications.kinds.0: is 'mail': write email or webhook"),
        ("[email, webhook]", "[]", "3, notifications.kinds: is empty: write at least one value"),
        ("[on_failure]", "[failure]", "4, notifications.events.0: is 'failure': write on_start, on_success,"),
        ("SINGLE_USER]", "SINGLE]", "7, clusters.access_modes.0: is 'SINGLE': write DATA_SECURITY_MODE_AUTO,"),
        ("spot_driver: false", "spot_driver: seldom", "8, clusters.spot_driver: write true or false"),
        ("tags: [project]", "tags: [project", "11: not valid YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_file_line_and_allowed_values(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in VALID
    (tmp_path / POLICY_FILE).write_text(VALID, "utf-8")
    assert load_policies(tmp_path).change("tags") == "change tags in policies.yml:10"
    (tmp_path / POLICY_FILE).write_text(VALID.replace(old, new), "utf-8")
    with pytest.raises(ConfigurationError) as raised:
        load_policies(tmp_path)
    assert f"policies.yml line {message}" in str(raised.value)


def test_a_missing_file_is_reported(copied: Path) -> None:
    (copied / POLICY_FILE).unlink()
    with pytest.raises(ConfigurationError, match=r"policies\.yml: cannot be read .*: restore it"):
        broken_policies(read("dev", copied))
