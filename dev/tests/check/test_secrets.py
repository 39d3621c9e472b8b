"""Forms of secrets that the rule on secrets knows, and texts that only look like one.

The secrets are built here, so that no scanner of a repository takes them for real ones.
"""

from pathlib import Path

import pytest
from rich.console import Console

from dabs_lab.check.engine import check_folder
from dabs_lab.check.formats import as_github, as_json, as_sarif
from dabs_lab.check.rules.plain_text_secrets import secret_kind
from dabs_lab.check.text_format import print_text

HEX = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
LETTERS = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6QUJDREVGR0hJSktMTU5PUFFSU1RVVl"


@pytest.mark.parametrize(
    ("field", "text", "kind"),
    [
        ("x", "dapi" + HEX, "Databricks token"),
        ("x", f"header Bearer dapi{HEX}-2", "Databricks token"),
        ("x", "AKIA" + "QRSTUVWXYZ234567", "AWS access key"),
        ("spark.hadoop.fs.s3a.secret.key", LETTERS[:40], "AWS secret key"),
        ("x", "ghp_" + LETTERS[:36], "GitHub token"),
        ("x", "https://hooks.slack.com/services/" + f"T0123456/B0123456/{LETTERS[:24]}", "Slack webhook"),
        ("fs.azure.account.key.plant.dfs.core.windows.net", LETTERS[:86] + "==", "Azure storage key"),
        ("x", "abc8Q~" + LETTERS[:34], "Azure client secret"),
        ("x", f"https://plant.blob.core.windows.net/c?sv=2024&sig={LETTERS[:43]}%3D", "SAS token"),
        ("x", "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE", "private key"),
        ("x", "Server=db;User Id=a;Password=n0t-public;", "password in a connection string"),
        ("x", "jdbc:postgresql://db/plant?user=a&password=n0t-public", "password in a connection string"),
        ("x", "kafka+ssl://reader:n0t-public@broker:9093", "password in a URL"),
        ("x", 'PlainLoginModule required username="a" password="n0t-public";', "password of a SASL login"),
        ("db.password", "opensesame", "literal value"),
        ("client_secret", HEX, "literal value"),
    ],
)
def test_a_known_form_of_a_secret_is_found(field: str, text: str, kind: str) -> None:
    assert secret_kind(field, text) == kind


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("password", "{{secrets/plant/password}}"),
        ("password", "${var.password}"),
        ("token", "<token>"),
        ("token", "12"),
        ("api_key", "kafka-api-key"),
        ("secret_key", "app-secret-1"),
        ("account_key", "changeme-now-1"),
        ("url", "jdbc:postgresql://db/plant?user=a&password={{secrets/plant/password}}"),
        ("url", "https://${var.user}:${var.password}@broker"),
        ("image", "ghcr.io/plant/image:1.2.3@sha256:" + HEX * 2),
        ("git_url", "ssh://git@github.com:plant/code.git"),
        ("cluster_id", "0717-132531-5opeqon1"),
        ("x", "dapi" + HEX + HEX),
        ("description", "Password = the password of the broker"),
        ("task_key", "rotate_token"),
    ],
)
def test_a_reference_or_a_name_is_not_a_secret(field: str, text: str) -> None:
    assert secret_kind(field, text) == ""


@pytest.mark.parametrize("line", [f"  # for tests: dapi{HEX}", f"  name: dapi{HEX}"])
def test_no_format_of_the_report_shows_the_secret(line: str, tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text(
        f"bundle:\n  uuid: a\n{line}\nworkspace: {{root_path: /Workspace/a}}\n", "utf-8"
    )
    report = check_folder(tmp_path, select=["D810"])
    (found,) = report.findings
    assert found.place.position.line == 3
    assert "Databricks token" in found.message
    console = Console(record=True, width=200)
    print_text(report, console)
    shown = [console.export_text(), as_json(report), as_sarif(report), as_github(report)]
    assert not [text for text in shown if HEX in text]
