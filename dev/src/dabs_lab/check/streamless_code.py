"""Proof that the code of a task starts no stream: its file, and all files of the bundle that it imports or runs."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path as FilePath

from dabs_lab.check.task_sources import NOTEBOOKS, Source, read_source

# Code that may start a stream without the word writeStream in this file.
_OTHER_CODE = re.compile(r"\b(readStream|exec|eval|import_module|__import__|notebook\.run|streamingQuery)\b")
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([\w., \t]+)", re.MULTILINE)
_FROM = re.compile(r"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#;]+)", re.MULTILINE)
# Packages that start no stream by themselves.
_PACKAGES = """
pyspark delta pandas numpy scipy sklearn matplotlib seaborn plotly mlflow databricks dbutils requests yaml faker httpx
dateutil pytz pydantic dotenv tqdm IPython pytest boto3 google azure psycopg psycopg2 sqlalchemy openai xgboost lightgbm
shap optuna hyperopt torch transformers langchain kafka confluent_kafka setuptools packaging dbldatagen jinja2 bs4
openpyxl cloudpickle joblib statsmodels prophet anthropic tenacity jsonschema polars pyarrow loguru urllib3 rapidfuzz
"""
_HARMLESS = sys.stdlib_module_names | set(_PACKAGES.split())
_MOST_FILES = 60


def starts_no_stream(source: Source, folder: FilePath) -> bool:
    """Return whether neither a file nor the files that it imports or runs start a stream. False: they may."""
    seen = {source.file}
    todo = [source]
    while todo:
        one = todo.pop()
        if not one.is_whole or "writeStream" in one.text or _OTHER_CODE.search(one.text):
            return False
        for file in _files_of(one, folder):
            if file in seen:
                continue
            seen.add(file)
            found = read_source(file, folder) if file.is_file() and len(seen) <= _MOST_FILES else None
            if found is None:
                return False
            todo.append(found)
    return True


def _files_of(source: Source, folder: FilePath) -> Iterator[FilePath]:
    """Yield the files that a source imports and runs; a path without a file for code that is not found."""
    here = source.file.parent
    for path in source.runs:
        files = [here / f"{path}{suffix}" for suffix in ("", *NOTEBOOKS)]
        yield next((file for file in files if file.is_file()), here / path)
    imports = [(part.split()[0], "") for match in _IMPORT.finditer(source.text) for part in match[1].split(",") if part]
    for module, names in [*imports, *((match[1], match[2]) for match in _FROM.finditer(source.text))]:
        if module.partition(".")[0] not in _HARMLESS:
            yield from _files_of_module(module, re.findall(r"(\w+)(?:\s+as\s+\w+)?", names), here, folder)


def _files_of_module(module: str, names: list[str], here: FilePath, folder: FilePath) -> Iterator[FilePath]:
    """Yield the files of a module: of its packages, of itself, and of the submodules among the imported names."""
    parts = module.lstrip(".").split(".") if module.strip(".") else []
    if dots := len(module) - len(module.lstrip(".")):
        bases = [here, *here.parents][dots - 1 : dots]
    else:
        bases = [here, *(above for above in here.parents if above.is_relative_to(folder)), folder / "src", folder]
    for base in bases:
        path = base.joinpath(*parts)
        if not path.is_dir() and not (parts and path.with_suffix(".py").is_file()):
            continue
        packages = [base.joinpath(*parts[:count]) / "__init__.py" for count in range(1, len(parts) + 1)]
        yield from (file for file in packages if file.is_file())
        if not path.is_dir():
            yield path.with_suffix(".py")
            return
        submodules = [path / f"{name}.py" for name in names if (path / f"{name}.py").is_file()]
        yield from submodules
        # Other names come from the package itself.
        if len(submodules) < len(names) or not names:
            yield path / "__init__.py"
        return
    yield here / "not-found"
