"""What is removed from the names that compilers and runtimes make, and what must stay."""

from __future__ import annotations

import time

import pytest

from pipeline.grouping.function_names import trim_function
from pipeline.grouping.strategies.generated_names import MAX_NAME_CHARS, TABLES, GeneratedName, Part

TABLE = TABLES["2026-12-01"]


@pytest.mark.parametrize("row", TABLE.rows, ids=lambda row: f"{min(row.platforms)}-{row.kind}")
def test_each_row_does_what_its_example_says_and_once_is_enough(row: GeneratedName) -> None:
    name, cleaned = row.example
    for platform in row.platforms:
        for part in row.parts:
            assert TABLE.clean(name, platform, part)[0] == cleaned != name
            assert TABLE.clean(cleaned, platform, part)[0] == cleaned


@pytest.mark.parametrize(
    ("platform", "part", "names"),
    [
        ("java", "module", ["shop.-$$Lambda$ucBvPpMty8S-wiNPHLuaeALrbr0", "shop.-$$Lambda$Qw3rTyUiOpAsDfGhJkLzXcVbNm1"]),
        ("java", "module", ["a.B$$Lambda/0x00007f01", "a.B$$Lambda$14/123456", "a.B$$Lambda$9/0x0000000800066840"]),
        ("java", "module", ["a.B$$ExternalSyntheticLambda0", "a.B$$ExternalSyntheticLambda12"]),
        ("java", "module", [f"a.B$$InternalSyntheticLambda$1${digit * 64}$0" for digit in "ab"]),
        ("java", "function", ["lambda$pay$0", "lambda$pay$12"]),
        ("csharp", "module", ["Shop.C+<>c__DisplayClass5_0+<<Pay>b__5_0>d__6", "Shop.C+<>c__DisplayClass7_0+<<Pay>b__7_0>d__9"]),
        ("csharp", "function", ["<Pay>b__0(Object o)", "<Pay>b__5_0(Object o)", "<Pay>b__7_0(Object o)"]),
        ("csharp", "function", ["<Main>g__Local|0_0()", "<Main>g__Local|4_1()"]),
        ("csharp", "function", ["Cart_Pay_m" + "0" * 40, "Cart_Pay_m" + "F" * 40]),
        ("php", "function", ["Foo@anonymous\0C:\\srv\\1\\a.php:3$0::x", "Foo@anonymous\0C:\\srv\\2\\a.php:3$1a::x"]),
        ("php", "function", ["{closure:C:\\srv\\a.php:12}", "{closure:/srv/b/a.php:13}"]),
        ("php", "function", ["{closure:{closure:/srv/a.php:3}:12}", "{closure:{closure:/srv/b/a.php:4}:13}"]),
        (
            "php",
            "function",
            ["{closure:class@anonymous\0/srv/x.php:12$0::run():14}", "{closure:class@anonymous\0/b.php:1$0::run():2}"],
        ),
        ("ruby", "function", ["_app_x__1234567_12345", "_app_x___1234567_12345", "_app_x____1234_567"]),
        ("ruby", "function", ["rescue in _app_x___1234567_12345", "rescue in _app_x__76543_12345"]),
        ("go", "function", ["(*Cart).pay.func1", "(*Cart).pay.func1.deferwrap1", "(*Cart).pay.func1.gowrap2"]),
        ("native", "function", ["pay.cold", "pay", "pay.cold.1", "pay.part.0.isra.3"]),
        ("native", "function", ["shop::pay::{closure#0}", "shop::pay::{{closure}}", "shop::pay::{closure#12}"]),
    ],
)
def test_builds_of_one_name_are_one(platform: str, part: Part, names: list[str]) -> None:
    assert len({TABLE.clean(name, platform, part)[0] for name in names}) == 1


@pytest.mark.parametrize(
    ("platform", "part", "names"),
    [
        (
            "java",
            "module",
            ["a.Cart$$ExternalSyntheticLambda1", "a.Menu$$ExternalSyntheticLambda1", "a.Cart", "a.Cart$1", "a.Cart$2"],
        ),
        ("java", "function", ["lambda$pay$0", "lambda$refund$0", "pay$1", "pay$2"]),
        ("csharp", "module", ["Shop.C+<PayAsync>d__1", "Shop.C+<RefundAsync>d__1", "Shop.C+List`1"]),
        (
            "csharp",
            "function",
            ["<Pay>b__0(Object o)", "<Pay>b__1(Object o)", "<Refund>b__0(Object o)", "<Main>g__One|0_0()", "<Main>g__Two|0_0()"],
        ),
        (
            "php",
            "function",
            ["{closure:A::run():1}", "{closure:A::stop():1}", "{closure}", "A@anonymous::run", "A@anonymous::stop"],
        ),
        ("ruby", "function", ["_app_show__1234567_12345", "_app_edit__1234567_12345", "sha_256", "pay_2024"]),
        ("native", "function", ["a::pay::lambda", "a::refund::lambda", "pay", "pay.2", "a::{closure#0}", "b::{closure#0}"]),
        ("native", "function", ["Cart_Pay_m" + "0" * 40, "Cart_Refund_m" + "0" * 40]),
        ("go", "function", ["pay.func1", "pay.func2", "refund.func1", "pay", "function1"]),
        ("python", "function", ["lambda$pay$0", "lambda$pay$1"]),
        ("никто", "function", ["a$1", "a$2"]),
    ],
)
def test_names_of_different_functions_stay_apart(platform: str, part: Part, names: list[str]) -> None:
    assert len({TABLE.clean(name, platform, part)[0] for name in names}) == len(names)


@pytest.mark.parametrize(
    "name",
    [
        "shop::pay(int)::{lambda(int)#1}::operator()(int) const",
        "shop::pay(int)::$_0::operator()(int) const",
        "shop::pay(int)::'lambda0'(int)::operator()(int) const",
    ],
)
def test_compilers_of_cpp_agree_about_a_lambda(name: str) -> None:
    assert TABLE.clean(trim_function(name, "native"), "native", "function")[0] == "shop::pay::lambda::operator()"


@pytest.mark.parametrize(
    "piece", ["$", "$$Lambda$", "{closure:", "<", ">b__1", "@anonymous", "a_", "1", "U3C", "::", "_block_invoke", "-[a]"]
)
def test_the_cost_of_a_hostile_name_stays_small(piece: str) -> None:
    name = (piece * MAX_NAME_CHARS)[:MAX_NAME_CHARS]
    for platform in sorted({platform for row in TABLE.rows for platform in row.platforms}):
        for part in ("module", "function", "filename"):
            started = time.process_time()
            TABLE.clean(name, platform, part)
            assert time.process_time() - started < 0.1
