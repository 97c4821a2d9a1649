"""Generate docs/configuration.md from pipeline/settings/schema.py, and the table of metrics in docs/operations.md.

scripts/generate_docs.py           write the pages
scripts/generate_docs.py --check   name the pages that are out of date; exit 1 if there are any
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def configuration() -> str:
    """Return the page of all settings: section, name, type, default and docstring, in the order of the file."""
    module = ast.parse((ROOT / "pipeline/settings/schema.py").read_text())
    classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
    aliases = {ast.unparse(node.targets[0]): node.value for node in module.body if isinstance(node, ast.Assign)}
    short = dict(_short_variables(ast.parse((ROOT / "pipeline/settings/loading.py").read_text())))
    lines = [
        "# Configuration",
        "",
        "Generated from `pipeline/settings/schema.py` by `scripts/generate_docs.py`.",
        "Settings are read from a TOML file (`--settings`), then from environment variables, then from options. The later wins.",
        "The variable of a setting is `PIPELINE_` and its path in capitals: `PIPELINE_KAFKA_BROKERS` sets `kafka.brokers`.",
        "A few have a shorter variable as well. A list is written with commas in a variable.",
        "`pipeline config show` prints all settings and where each comes from.",
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
            lines.append(f"| `{name}` | {_kind(kind_node, aliases)} | `{default}` | {text} | {variable} |")
        lines.append("")
    return "\n".join(lines)


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr, str, str]]:
    """Yield the name, type, default and docstring of each field of a class."""
    for index, part in enumerate(node.body):
        if not isinstance(part, ast.AnnAssign) or not isinstance(part.target, ast.Name):
            continue
        following = node.body[index + 1] if index + 1 < len(node.body) else None
        text = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            text = " ".join(str(following.value.value).split())
        yield part.target.id, part.annotation, ast.unparse(part.value) if part.value else "", text


def _kind(node: ast.expr, aliases: dict[str, ast.expr]) -> str:
    """Return a type as the page shows it: `Annotated[int, Meta(ge=1, le=9)]` as `int, 1 to 9`."""
    if isinstance(node, ast.BinOp):
        return f"{_kind(node.left, aliases)} or {_kind(node.right, aliases)}"
    node = aliases.get(ast.unparse(node), node)
    if not isinstance(node, ast.Subscript):
        return ast.unparse(node)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if ast.unparse(node.value) == "Literal":
        return " or ".join(f"`{ast.literal_eval(value)}`" for value in inner)
    if ast.unparse(node.value) == "tuple":
        return f"list of {ast.unparse(inner[0])}"
    base, meta = inner
    assert isinstance(meta, ast.Call)
    limits = {keyword.arg: ast.literal_eval(keyword.value) for keyword in meta.keywords}
    if limits == {"min_length": 1}:
        return f"{ast.unparse(base)}, not empty"
    if "gt" in limits:
        return f"{ast.unparse(base)}, above {limits['gt']}"
    if "le" in limits:
        return f"{ast.unparse(base)}, {limits['ge']:,} to {limits['le']:,}"
    return f"{ast.unparse(base)}, at least {limits['ge']:,}"


def _short_variables(module: ast.Module) -> Iterator[tuple[str, str]]:
    for node in module.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "SHORT_VARIABLES":
            assert isinstance(node.value, ast.Dict)
            for variable, path in zip(node.value.keys, node.value.values, strict=True):
                assert variable is not None
                yield ".".join(ast.literal_eval(path)), ast.literal_eval(variable)


METRICS_BEGIN, METRICS_END = "<!-- metrics: generated -->", "<!-- end of metrics -->"


def operations() -> str:
    """Return docs/operations.md with the table of metrics between its two marks."""
    sys.path.insert(0, str(ROOT))
    from pipeline.observability.metric_defs import API_METRICS, GATEWAY_METRICS, METRICS, STORE_METRICS  # noqa: PLC0415 -- found only with the repository on the path

    before, _, rest = (ROOT / "docs/operations.md").read_text().partition(METRICS_BEGIN)
    lines = ["", "| metric | kind | unit | labels | what | if it is high |", "|---|---|---|---|---|---|"]
    for metric in dict.fromkeys((*METRICS, *GATEWAY_METRICS, *STORE_METRICS, *API_METRICS)):
        name = metric.name + ("_total" if metric.kind == "counter" else "")
        labels = ", ".join(metric.labels)
        lines.append(f"| `{name}` | {metric.kind} | {metric.unit} | {labels} | {metric.meaning} | {metric.when_high} |")
    return before + METRICS_BEGIN + "\n".join(lines) + "\n" + METRICS_END + rest.partition(METRICS_END)[2]


PAGES = {"docs/configuration.md": configuration, "docs/operations.md": operations}


def main() -> int:
    """Write or check the pages. Return the exit code."""
    stale = [name for name, page in PAGES.items() if not (ROOT / name).exists() or (ROOT / name).read_text() != page()]
    if sys.argv[1:] == ["--check"]:
        for name in stale:
            print(f"{name} is out of date: run scripts/generate_docs.py", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (ROOT / name).write_text(PAGES[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
