"""Write what repeats the code: docs/configuration.md from pipeline/settings/schema.py, the metrics in docs/operations.md.

scripts/generate_docs.py           write them
scripts/generate_docs.py --check   say which are stale; exit 1 if any
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def configuration() -> str:
    """Give the page of all settings: every section, field, type, default and docstring, in the order of the file."""
    module = ast.parse((ROOT / "pipeline/settings/schema.py").read_text())
    classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
    short = dict(_short_variables(ast.parse((ROOT / "pipeline/settings/loading.py").read_text())))
    lines = [
        "# Configuration",
        "",
        "Generated from `pipeline/settings/schema.py` by `scripts/generate_docs.py`.",
        "A TOML file (`--settings`) comes first, then the environment, then flags; the later wins.",
        "Every setting has a variable, `PIPELINE_` and its path in capitals, such as `PIPELINE_KAFKA_BROKERS`;",
        "some have a shorter one too.",
        "`pipeline config show` prints what is in force, and where it comes from.",
        "",
    ]
    sections: list[tuple[str, ast.ClassDef]] = [("", classes["Settings"])]
    for field in _fields(classes["Settings"]):
        kind = ast.unparse(field[1])
        if kind in classes:
            sections.append((field[0], classes[kind]))
    for table, node in sections:
        rows = [row for row in _fields(node) if ast.unparse(row[1]) not in classes]
        lines += [f"## `[{table}]`" if table else "## Top level", "", ast.get_docstring(node) or "", ""]
        lines += ["| name | type | default | what | short variable |", "|---|---|---|---|---|"]
        for name, kind_node, default, text in rows:
            path = f"{table}.{name}" if table else name
            variable = f"`{short[path]}`" if path in short else ""
            shown_kind = ast.unparse(kind_node).replace("|", "or").replace("'", '"')
            lines.append(f"| `{name}` | {shown_kind} | `{default}` | {text} | {variable} |")
        lines.append("")
    return "\n".join(lines)


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr, str, str]]:
    """Give name, type, default and the docstring that follows, of each field."""
    for index, part in enumerate(node.body):
        if not isinstance(part, ast.AnnAssign) or not isinstance(part.target, ast.Name):
            continue
        following = node.body[index + 1] if index + 1 < len(node.body) else None
        text = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            text = " ".join(str(following.value.value).split())
        yield part.target.id, part.annotation, ast.unparse(part.value) if part.value else "", text


def _short_variables(module: ast.Module) -> Iterator[tuple[str, str]]:
    for node in module.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "SHORT_VARIABLES":
            assert isinstance(node.value, ast.Dict)
            for variable, path in zip(node.value.keys, node.value.values, strict=True):
                assert variable is not None
                yield ".".join(ast.literal_eval(path)), ast.literal_eval(variable)


METRICS_BEGIN, METRICS_END = "<!-- metrics: generated -->", "<!-- end of metrics -->"


def operations() -> str:
    """Give the page of operations, with the table of metrics from pipeline/observability/metric_defs.py between its marks."""
    sys.path.insert(0, str(ROOT))
    from pipeline.observability.metric_defs import METRICS  # noqa: PLC0415 -- found only with the repository on the path

    before, _, rest = (ROOT / "docs/operations.md").read_text().partition(METRICS_BEGIN)
    lines = ["", "| metric | kind | unit | labels | what | when it is high |", "|---|---|---|---|---|---|"]
    for metric in METRICS:
        name = metric.name + ("_total" if metric.kind == "counter" else "")
        labels = ", ".join(metric.labels)
        lines.append(f"| `{name}` | {metric.kind} | {metric.unit} | {labels} | {metric.meaning} | {metric.when_high} |")
    return before + METRICS_BEGIN + "\n".join(lines) + "\n" + METRICS_END + rest.partition(METRICS_END)[2]


PAGES = {"docs/configuration.md": configuration, "docs/operations.md": operations}


def main() -> int:
    """Write or check the pages."""
    stale = [name for name, page in PAGES.items() if not (ROOT / name).exists() or (ROOT / name).read_text() != page()]
    if sys.argv[1:] == ["--check"]:
        for name in stale:
            print(f"{name} is stale: run scripts/generate_docs.py", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (ROOT / name).write_text(PAGES[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
