"""Projects made from the template: correct for each answer, and without traces of the template."""

import itertools
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from dabs_lab.bundle import load_bundle
from dabs_lab.check.engine import check_folder
from dev.tests.new_project.projects import ANSWERS, ROOT, made, make_new, rendered, run_in, set_up, written
from sensor_streams_dev.new_project.names import FORMS, LONGEST
from sensor_streams_dev.new_project.questions import complete, questions

TARGETS = ("dev", "staging", "prod")
BUNDLES = list(
    itertools.product(*(questions()[name]["enum"] for name in ("cloud", "live_shape", "notify_by", "dev_tools")))
)
OLD_NAME = re.compile("sensor.streams", re.IGNORECASE)


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The projects of ANSWERS, made once."""
    folder = tmp_path_factory.mktemp("made")
    return {name: made(answers, folder / name) for name, answers in ANSWERS.items()}


def test_the_tested_answers_include_each_choice() -> None:
    for name, question in questions().items():
        for choice in question.get("enum", []):
            used = {answers.get(name, question["default"]) for answers in ANSWERS.values()}
            assert choice in used, name


@pytest.mark.parametrize(("cloud", "shape", "kind", "tools"), BUNDLES)
def test_the_bundle_loads_for_each_target(cloud: str, shape: str, kind: str, tools: str, tmp_path: Path) -> None:
    answers = {"project_name": "acme", "cloud": cloud, "live_shape": shape, "notify_by": kind, "dev_tools": tools}
    written(answers, tmp_path)
    for target in TARGETS:
        bundle = load_bundle(tmp_path, target, variables={"principal": "app"}, user="a@b.org", environment={})
        live = [name for name, status in bundle.variables["live"].items() if status == "UNPAUSED"]
        assert live == ([] if target == "dev" else [shape])
        for job in bundle.resources["jobs"].values():
            for cluster in job["job_clusters"]:
                assert [key for key in cluster["new_cluster"] if key.endswith("_attributes")] == [f"{cloud}_attributes"]
            for task in job["tasks"]:
                kinds = [name for name in ("email_notifications", "webhook_notifications") if task.get(name)]
                assert kinds == ["email_notifications" if kind == "email" else "webhook_notifications"]


def test_answers_become_defaults_of_the_bundle(tmp_path: Path) -> None:
    for name, answers in ANSWERS.items():
        written(answers, tmp_path / name)
    azure, gcp = (
        load_bundle(tmp_path / name, "prod", variables={"principal": "app"}, environment={}).variables
        for name in ("azure", "gcp")
    )
    assert (azure["catalog"], azure["alert_destination"]) == ("acme-prod", ANSWERS["azure"]["notify_destination"])
    assert (gcp["tables_root"], gcp["alert_email"]) == ("gs://acme/tables", "night@acme.example")
    assert (azure["schema"], gcp["schema"]) == ("wind", "zz_top_2_sensors")


@pytest.mark.parametrize("name", ANSWERS)
def test_the_check_of_make_lint_finds_nothing_in_its_bundle(name: str, tmp_path: Path) -> None:
    report = check_folder(written(ANSWERS[name], tmp_path), every=True)
    assert report.targets == TARGETS
    assert report.findings == ()


@pytest.mark.parametrize("name", ANSWERS)
def test_its_jobs_break_no_policy_and_equal_its_golden_files(projects: dict[str, Path], name: str) -> None:
    chosen = "no_target_breaks_a_policy or equals_its_golden_file or without_default"
    tested = run_in(projects[name], "pytest", "-q", "-p", "no:cacheprovider", "tests/policies", "-k", chosen)
    assert tested.returncode == 0, tested.stdout
    # One test for the variables, two for each target.
    assert f"{1 + 2 * len(TARGETS)} passed" in tested.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS)
def test_the_tests_of_its_job_files_pass(projects: dict[str, Path], name: str) -> None:
    tested = run_in(projects[name], "pytest", "-q", "-p", "no:cacheprovider", "tests/policies")
    assert tested.returncode == 0, tested.stdout


@pytest.mark.parametrize("name", ANSWERS)
def test_checks_of_style_pass_and_change_nothing(projects: dict[str, Path], name: str) -> None:
    for words in (("ruff", "check", "--no-cache", "."), ("ruff", "format", "--check", "--no-cache", ".")):
        checked = run_in(projects[name], *words)
        assert checked.returncode == 0, checked.stdout
    checked = run_in(projects[name], "scripts.plain_english")
    assert checked.returncode == 0, checked.stdout
    assert _git(projects[name], "status", "--porcelain") == ""


@pytest.mark.parametrize("project", ["a" * LONGEST, "ab", "a_b_c_d_e_f_g_h_i_j_k_l"])
def test_lines_fit_for_the_longest_and_the_shortest_name(project: str, tmp_path: Path) -> None:
    assert len(project) in (2, LONGEST - 1, LONGEST)
    new = made({"project_name": project}, tmp_path / "new")
    checked = run_in(new, "ruff", "check", "--no-cache", ".")
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", ANSWERS)
def test_the_old_name_is_left_in_the_line_of_origin_only(projects: dict[str, Path], name: str) -> None:
    found = _git(projects[name], "grep", "--ignore-case", "sensor.streams").splitlines()
    assert found == ["README.md:Made from the template sensor-streams."]
    assert not [path for path in _git(projects[name], "ls-files").splitlines() if OLD_NAME.search(path)]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_project_does_not_contain_the_template(name: str) -> None:
    for path, file in rendered(ANSWERS[name]).items():
        text = file.content.decode(errors="replace")
        for word in ("make new", "make template", "new_project", "new-project", "bundle init", "template.yml"):
            assert word not in f"{path}: {text}", path


@pytest.mark.parametrize("name", ANSWERS)
def test_links_between_its_pages_have_a_target(name: str) -> None:
    files = rendered(ANSWERS[name])
    for path in filter(lambda path: path.endswith(".md"), files):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", files[path].content.decode()):
            target = (Path("/") / Path(path).parent / link).resolve().relative_to("/")
            assert str(target) in files, f"{path}: {link}"


def test_a_project_without_development_tools_names_none() -> None:
    for path, file in rendered(ANSWERS["azure"]).items():
        assert not path.startswith(("dev/tests/", "benchmarks/"))
        for word in ("dev/tests", "test-dev", "test-unity", "make bench", "unity_server"):
            assert word not in file.content.decode(errors="replace"), f"{path}: {word}"


@pytest.mark.parametrize("name", ANSWERS)
def test_its_first_deploy_needs_no_value_that_the_answers_give(name: str) -> None:
    page = rendered(ANSWERS[name])["docs/deploy.md"].content.decode()
    assert (
        "`principal` has no default; the target `dev` sets it:\n\n    databricks bundle deploy --target dev\n" in page
    )
    for word in ("--var catalog=", "BUNDLE_VAR_catalog", "00000000-0000"):
        assert word not in page


def test_a_project_is_a_repository_with_one_commit(projects: dict[str, Path]) -> None:
    for project in projects.values():
        assert _git(project, "rev-list", "--count", "HEAD").strip() == "1"
        assert _git(project, "branch", "--show-current").strip() == "main"
        assert (project / "scripts/restart_live.sh").stat().st_mode & 0o111


def test_a_commit_is_made_without_a_git_identity(tmp_path: Path) -> None:
    home = str(tmp_path)
    done = make_new(
        tmp_path / "new", "--name", "acme", HOME=home, XDG_CONFIG_HOME=home, GIT_CONFIG_NOSYSTEM="1", EMAIL=""
    )
    assert done.returncode == 0, done.stderr
    assert "git commit --amend --reset-author" in done.stdout
    assert _git(tmp_path / "new", "rev-list", "--count", "HEAD").strip() == "1"


# As in docs/tutorial.md.
COMPRESSORS = """sensors:
  vibration:       {unit: mm/s, range: [0, 40], period: 5 min, roles: [anomaly, life]}
  oil_temperature: {unit: degC, range: [-20, 140], period: 5 min, roles: [anomaly, life]}
  outlet_pressure: {unit: bar, range: [0, 16], period: 5 min, roles: [anomaly]}
  motor_current:   {unit: A, range: [0, 300], period: 5 min, roles: [anomaly, load], idle_below: 5}

device_types:
  compressor: {devices: ["comp-*"], sensors: [vibration, oil_temperature, outlet_pressure, motor_current]}

"""
# The package of LightGBM is not installed, and a lock needs the network.
MAKE_CHANGES = """
from pathlib import Path
from changes import CHANGES

for change in CHANGES:
    if "LightGBM" not in change.title:
        change.make(Path())
"""


def _run(project: Path, environment: Mapping[str, str], *command: str) -> None:
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _make_usual_changes(project: Path, environment: Mapping[str, str], folder: Path) -> None:
    """Make the changes of docs/changing.md in a project, which does not contain their exact edits."""
    text = (ROOT / "dev/tests/changes.py").read_text("utf-8")
    values = complete({"project_name": project.name})
    for key, form in FORMS.items():
        text = text.replace(form.old, values[key])
    folder.mkdir()
    (folder / "changes.py").write_text(text, "utf-8")
    _run(project, {**environment, "PYTHONPATH": str(folder)}, ".venv/bin/python", "-c", MAKE_CHANGES)


@pytest.mark.slow
def test_lint_and_tests_of_a_new_project_pass_after_the_usual_changes(tmp_path: Path) -> None:
    new = made(ANSWERS["defaults"], tmp_path / ANSWERS["defaults"]["project_name"])
    environment = set_up(new)
    _make_usual_changes(new, environment, tmp_path / "outside")
    _run(new, environment, "make", "format", "golden")
    _run(new, environment, "git", "add", "--all")
    changed = _git(new, "diff", "--cached", "--name-only").split()
    assert {"boilers.yml", "policies.yml", "tests/policies/golden/uat.json"} < set(changed)
    _run(new, environment, "make", "lint", "test")


@pytest.mark.slow
def test_a_project_without_development_tools_passes_with_another_fleet(tmp_path: Path) -> None:
    new = made(ANSWERS["azure"], tmp_path / "wind")
    fleet = (new / "sensors.yml").read_text("utf-8")
    begin, end = fleet.index("sensors:\n"), fleet.index("# Optional members of a reading")
    (new / "sensors.yml").write_text(fleet[:begin] + COMPRESSORS + fleet[end:], "utf-8")
    environment = set_up(new)
    _run(new, environment, "make", "lint")
    # Without those of streams: they differ in no file from those of the project above.
    parts = ("tests/policies", "tests/features", "tests/test_fleet.py", "tests/test_settings.py")
    _run(new, environment, ".venv/bin/python", "-m", "pytest", "-q", *parts)


def test_the_commit_has_the_user_that_the_environment_names(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[user]\nname = C\nemail = c@example.org\n", "utf-8")
    done = make_new(tmp_path / "a", "--name", "acme", GIT_CONFIG_GLOBAL=str(config))
    assert "git knows no user" not in done.stdout, done.stderr
    assert _git(tmp_path / "a", "log", "--format=%an %ae %cn %ce") == "C c@example.org C c@example.org\n"
    done = make_new(
        tmp_path / "b",
        "--name",
        "acme",
        HOME=str(tmp_path),
        XDG_CONFIG_HOME=str(tmp_path),
        GIT_AUTHOR_NAME="A",
        GIT_AUTHOR_EMAIL="a@example.org",
        GIT_COMMITTER_NAME="B",
        GIT_COMMITTER_EMAIL="b@example.org",
    )
    assert "git knows no user" not in done.stdout, done.stderr
    assert _git(tmp_path / "b", "log", "--format=%an %ae %cn %ce") == "A a@example.org B b@example.org\n"


def _git(project: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=project, capture_output=True, text=True, check=True).stdout
