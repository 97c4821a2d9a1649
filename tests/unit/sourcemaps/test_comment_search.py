from __future__ import annotations

import pytest

from pipeline.sourcemaps.map_references import find_debug_id_comment, find_map_comment


@pytest.mark.parametrize(
    ("code", "reference"),
    [
        (b"a()\n//# sourceMappingURL=a.map", "a.map"),
        (b"a()\n//# sourceMappingURL=a.map\nb()", "a.map"),
        (b"a();//# sourceMappingURL=a.map", "a.map"),
        (b"a()\n//# sourceMappingURL=a.map\n//# debugId=1\n/* end */\n", "a.map"),
        (b"a('//# sourceMappingURL=a.map')", None),
        (b'a("//# sourceMappingURL=a.map ")', None),
        (b"a('\\'\\n//# sourceMappingURL=a.map\\n')", None),
        (b"a(`\n//# sourceMappingURL=a.map\n`)", None),
        (b"a(`\n//# sourceMappingURL=a.map\n`)\n", None),
        (b"a(`x${b({c:`y`})}\n//# sourceMappingURL=a.map\n`)", None),
        (b"a(`x${b({c:`y`})}`)\n//# sourceMappingURL=a.map\nb()", "a.map"),
        (b"a(`${f(`\n//# sourceMappingURL=a.map\n`)}`)", None),
        (b"a(`${f()//# sourceMappingURL=a.map\n}`)", "a.map"),
        (b"a()\n//# sourceMappingURL=a.map\nvar o=code+`\n//# sourceMappingURL=data:application/json;base64,`+btoa(m);", "a.map"),
        (b'a()\n//# sourceMappingURL=a.map\nvar o=code+"\\n//# sourceMappingURL="+url;', "a.map"),
        (b"a()\n//@ sourceMappingURL=a.map\nb('//# sourceMappingURL=b.map')", "a.map"),
        (b"a=/[\"'`/]/;b()\n//# sourceMappingURL=a.map\nc()", "a.map"),
        (b"function f(){return/`/}\n//# sourceMappingURL=a.map\nc()", "a.map"),
        (b"a=b/c;d='`'/e\n//# sourceMappingURL=a.map\nc()", "a.map"),
        (b"/* it's */ a()\n//# sourceMappingURL=a.map\nc()", "a.map"),
        (b"// it's\na()\n//# sourceMappingURL=a.map\nc()", "a.map"),
        (b"/*\n//# sourceMappingURL=a.map\n*/", "a.map"),
        (b"a('unterminated\n//# sourceMappingURL=a.map\nc()", "a.map"),
        (b'a()\n//# sourceMappingURL=data:application/json,{"version":3}', 'data:application/json,{"version":3}'),
        (b"//# sourceMappingURL=", None),
        (b"//# sourceMappingURL=\na.map", None),
    ],
)
def test_only_a_comment_is_a_reference(code: bytes, reference: str | None) -> None:
    assert find_map_comment(code) == reference
    assert find_map_comment(b"x=1;" * 1_000 + b"\r\n" + code.replace(b"\n", b"\r\n")) == reference


def test_a_debug_id_in_a_string_is_none() -> None:
    debug_id = "f81c208d-9b7d-58f8-b103-e6a3855a8f31"
    code = b"a()\n//# debugId=%b\n" % debug_id.encode()
    assert find_debug_id_comment(code) == debug_id
    assert find_debug_id_comment(code + b"b('//# debugId=00000000-0000-0000-0000-000000000000')") == debug_id
    assert find_debug_id_comment(b"b(`\n" + code + b"`)") is None


@pytest.mark.parametrize(
    "filler", [b"''", b"`${{}}`", b"`${", b"/", b"/* */", b"//# sourceMappingURL=a\n'", b"'//# sourceMappingURL=a'"]
)
def test_a_file_with_too_many_strings_is_judged_by_the_value(filler: bytes) -> None:
    code = filler * (8_000_000 // len(filler)) + b"\n//# sourceMappingURL=a.map\n;`"
    assert find_map_comment(code) in {"a.map", "a", None}
