"""Count findings by rule over all bundles below a folder: `python scripts/check_corpus.py FOLDER [--json FILE]`.

Prints one row for each rule, then the bundles that cannot be read, with their messages. `--json` writes each finding.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from dabs_lab.bundle.bundle_files import ROOT_FILES
from dabs_lab.check.engine import check_folder
from dabs_lab.check.formats import as_json
from dabs_lab.errors import DabsLabError


def main(words: list[str]) -> int:
    """Check every bundle for all of its targets."""
    if len(words) not in (1, 3) or words[1:2] not in ([], ["--json"]):
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(words[0])
    bundles = sorted({file.parent for name in ROOT_FILES for file in folder.rglob(name)})
    findings, unknown = Counter[str](), Counter[str]()
    names: dict[str, str] = {}
    reports: dict[str, object] = {}
    unread: list[str] = []
    for bundle in bundles:
        try:
            report = check_folder(bundle, every=True)
        except DabsLabError as error:
            unread.append(f"{bundle.relative_to(folder)}: {str(error).splitlines()[0]}")
            continue
        names |= {id: rule.name for id, rule in report.rules.items()}
        findings.update(one.rule.id for one in report.findings)
        unknown.update(one.rule.id for one in report.cannot_tell)
        reports[bundle.relative_to(folder).as_posix()] = json.loads(as_json(report))
    print(f"{'rule':45} findings  cannot tell")
    for id in sorted(findings | unknown):
        print(f"{id} {names[id]:40} {findings[id]:8} {unknown[id]:12}")
    print(f"{'all':45} {findings.total():8} {unknown.total():12}")
    print(f"{len(reports)} bundles read, {len(unread)} refused")
    print("\n".join(unread))
    if words[2:]:
        Path(words[2]).write_text(json.dumps(reports, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
