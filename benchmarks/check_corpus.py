"""Count the findings of the check by rule over many bundles: `python -m benchmarks.check_corpus FOLDER [JSON]`.

FOLDER: copies of the repositories in check_corpus.tsv, as owner+name, or any folder with bundles. Prints one row for
each rule, then the bundles that cannot be read, with their messages. JSON: file that gets each finding.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from dabs_lab.bundle.bundle_files import ROOT_FILES
from dabs_lab.check.engine import check_folder
from dabs_lab.check.formats import as_json
from dabs_lab.errors import DabsLabError

LIST = Path(__file__).with_suffix(".tsv")


def main(words: list[str]) -> int:
    """Check every bundle for all of its targets."""
    if len(words) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(words[0])
    findings, unknown = Counter[str](), Counter[str]()
    names: dict[str, str] = {}
    reports: dict[str, object] = {}
    refused: list[str] = []
    for bundle in bundles(folder):
        name = bundle.relative_to(folder).as_posix()
        try:
            report = check_folder(bundle, every=True)
        except DabsLabError as error:
            refused.append(f"{name}: {str(error).splitlines()[0]}")
            continue
        names |= {id: rule.name for id, rule in report.rules.items()}
        findings.update(one.rule.id for one in report.findings)
        unknown.update(one.rule.id for one in report.cannot_tell)
        reports[name] = json.loads(as_json(report))
    print(f"{'rule':45} findings  cannot tell")
    for id in sorted(findings | unknown):
        print(f"{id} {names[id]:40} {findings[id]:8} {unknown[id]:12}")
    print(f"{'all':45} {findings.total():8} {unknown.total():12}")
    print("\n".join([f"{len(reports)} bundles read, {len(refused)} refused", *refused]))
    if words[1:]:
        Path(words[1]).write_text(json.dumps(reports, indent=1), "utf-8")
    return 0


def bundles(folder: Path) -> list[Path]:
    """Return the listed bundles that the folder contains; without any, all bundles below it."""
    rows = (line.split("\t") for line in LIST.read_text("utf-8").splitlines())
    listed = [folder / repository.replace("/", "+") / path for repository, _, path in rows]
    found = [bundle for bundle in listed if bundle.is_dir()]
    return found or sorted({file.parent for name in ROOT_FILES for file in folder.rglob(name)})


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
