"""Each runtime's way of printing a stack. The texts were printed by the runtimes themselves, shortened where frames repeat."""

from __future__ import annotations

import sys
import time
import traceback
from typing import Any

import pytest

from pipeline.gateway.otlp.stack_texts import MAX_EXCEPTIONS, MAX_FRAMES, read_stack

JAVA = """java.lang.IllegalStateException: payment failed
\tat T$Cart.pay(T.java:2)
\tat T.lambda$main$0(T.java:4)
\tat T.main(T.java:4)
\tat java.base/jdk.internal.reflect.NativeMethodAccessorImpl.invoke0(Native Method)
\tat java.base/java.lang.reflect.Method.invoke(Method.java:569)
\tSuppressed: java.lang.RuntimeException: other
\t\tat T.closing(T.java:9)
\t\t... 3 more
Caused by: java.io.IOException: no route
to host
\tat T$Cart.charge(T.java:3)
\t... 4 more
"""

NODE = """Error: payment failed
    at Cart.pay (/app/t.js:1:75)
    at async /app/t.js:2:19 {
  [cause]: TypeError: Cannot read properties of null (reading 'total')
      at Cart.charge (/app/t.js:1:141)
      at Array.forEach (<anonymous>)
      at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:164:12)
      at node:internal/main/run_main_module:28:49
}"""

GECKO = """pay@https://shop.example/app.js:1:75
async*@https://shop.example/app.js:2:19
"""

GO = """goroutine 18 [running]:
runtime/debug.Stack()
\t/usr/local/go/src/runtime/debug/stack.go:26 +0x5e
main.(*Cart).Pay.func1()
\t/app/main.go:4 +0x1d
panic({0x4ae5a0?, 0x57e4d0?})
\t/usr/local/go/src/runtime/panic.go:860 +0x13a
example.com/shop/cart.(*Cart).charge(...)
\t/app/cart/cart.go:5
main.main.func1()
\t/app/main.go:6 +0x26
created by main.main in goroutine 1
\t/app/main.go:6 +0x5f

goroutine 1 [chan receive]:
main.main()
\t/app/main.go:7 +0x1
"""

DOTNET = """System.InvalidOperationException: payment failed
 ---> System.IO.IOException: no route
to host
   at Shop.Cart.Charge(Int32 n) in /src/Cart.cs:line 9
   at Shop.Cart.Pay(Int32 n) in /src/Cart.cs:line 4
   --- End of inner exception stack trace ---
   at Shop.Cart.Pay(Int32 n) in /src/Cart.cs:line 6
   at Shop.Program.Main(String[] args)
"""

RUBY = """cart.rb:4:in `rescue in pay': payment failed (RuntimeError)
\tfrom cart.rb:1:in `pay'
\tfrom cart.rb:8:in `<main>'
cart.rb:2:in 'Cart#charge': no route to host (Errno::EHOSTUNREACH)
\tfrom cart.rb:1:in 'Cart#pay'
"""

PHP_EXPORTER = """RuntimeException: payment failed
 at Shop\\Cart.pay(Cart.php:12)
 at {main}(index.php:3)
Caused by: LogicException: no route
 at Shop\\Cart.charge(Cart.php:20)
 ... 2 more
"""

PHP = """LogicException: no route in /app/Cart.php:20
Stack trace:
#0 /app/Cart.php(12): Shop\\Cart->charge(3)
#1 {main}

Next RuntimeException: payment failed in /app/Cart.php:14
Stack trace:
#0 /app/index.php(3): Shop\\Cart->pay(Object(Shop\\Card), '...')
#1 {main}
"""

RUST = """   0: shop::cart::charge
             at ./src/cart.rs:9:5
   1: shop::main::h0123456789abcdef
             at ./src/main.rs:4:13
"""

ELIXIR = """    (shop 1.2.0) lib/shop/cart.ex:12: Shop.Cart.charge/1
    (stdlib 5.0) gen_server.erl:1077: :gen_server.try_handle_call/4
"""


def said(text: str, platform: str | None) -> list[tuple[str | None, str | None, list[str]]]:
    """Return type, value and frames of each exception, a frame as `module|function|path:line:column`."""

    def frame(one: dict[str, Any]) -> str:
        path = one.get("abs_path") or one.get("filename") or ""
        return f"{one.get('module', '')}|{one.get('function', '')}|{path}:{one.get('lineno', '')}:{one.get('colno', '')}"

    return [(one.type, one.value, [frame(entry) for entry in one.frames]) for one in read_stack(text, platform)]


def test_java_has_causes_with_the_frames_that_they_share() -> None:
    outer = [
        "java.lang.reflect.Method|invoke|Method.java:569:",
        "jdk.internal.reflect.NativeMethodAccessorImpl|invoke0|::",
        "T|main|T.java:4:",
        "T|lambda$main$0|T.java:4:",
    ]
    assert said(JAVA, "java") == [
        ("java.io.IOException", "no route\nto host", [*outer, "T$Cart|charge|T.java:3:"]),
        ("java.lang.IllegalStateException", "payment failed", [*outer, "T$Cart|pay|T.java:2:"]),
    ]


def test_node_has_its_cause_in_braces() -> None:
    assert said(NODE, "node") == [
        (
            "TypeError",
            "Cannot read properties of null (reading 'total')",
            [
                "||node:internal/main/run_main_module:28:49",
                "|Function.executeUserEntryPoint|node:internal/modules/run_main:164:12",
                "|Array.forEach|::",
                "|Cart.charge|/app/t.js:1:141",
            ],
        ),
        ("Error", "payment failed", ["||/app/t.js:2:19", "|Cart.pay|/app/t.js:1:75"]),
    ]


def test_firefox_and_safari_have_no_head() -> None:
    assert said(GECKO, "javascript") == [
        (None, None, ["|async*|https://shop.example/app.js:2:19", "|pay|https://shop.example/app.js:1:75"])
    ]


def test_go_leaves_out_who_recovered_and_who_printed() -> None:
    assert said(GO, "go") == [
        (
            None,
            None,
            [
                "main|main|/app/main.go:6:",
                "main|main.func1|/app/main.go:6:",
                "example.com/shop/cart|(*Cart).charge|/app/cart/cart.go:5:",
            ],
        )
    ]


def test_dotnet_has_the_inner_exception_first() -> None:
    assert said(DOTNET, "csharp") == [
        (
            "System.IO.IOException",
            "no route\nto host",
            ["Shop.Cart|Pay|/src/Cart.cs:4:", "Shop.Cart|Charge|/src/Cart.cs:9:"],
        ),
        ("System.InvalidOperationException", "payment failed", ["Shop.Program|Main|::", "Shop.Cart|Pay|/src/Cart.cs:6:"]),
    ]


def test_ruby_of_both_quotes() -> None:
    assert said(RUBY, "ruby") == [
        ("Errno::EHOSTUNREACH", "no route to host", ["|Cart#pay|cart.rb:1:", "|Cart#charge|cart.rb:2:"]),
        ("RuntimeError", "payment failed", ["|<main>|cart.rb:8:", "|pay|cart.rb:1:", "|rescue in pay|cart.rb:4:"]),
    ]


def test_php_in_both_forms() -> None:
    assert said(PHP_EXPORTER, "php") == [
        (
            "LogicException",
            "no route",
            ["|{main}|index.php:3:", "Shop\\Cart|pay|Cart.php:12:", "Shop\\Cart|charge|Cart.php:20:"],
        ),
        ("RuntimeException", "payment failed", ["|{main}|index.php:3:", "Shop\\Cart|pay|Cart.php:12:"]),
    ]
    assert said(PHP, "php") == [
        ("LogicException", "no route", ["|Shop\\Cart->charge|/app/Cart.php:12:", "||/app/Cart.php:20:"]),
        ("RuntimeException", "payment failed", ["|Shop\\Cart->pay|/app/index.php:3:", "||/app/Cart.php:14:"]),
    ]


def test_rust_and_elixir() -> None:
    assert said(RUST, "rust") == [(None, None, ["|shop::main|./src/main.rs:4:13", "|shop::cart::charge|./src/cart.rs:9:5"])]
    assert said(ELIXIR, "elixir") == [
        (None, None, ["|:gen_server.try_handle_call/4|gen_server.erl:1077:", "|Shop.Cart.charge/1|lib/shop/cart.ex:12:"])
    ]


def _charge() -> None:
    message = "no route\n\nto host"
    raise OSError(message)


def _pay() -> None:
    try:
        _charge()
    except OSError as error:
        message = "payment failed"
        raise RuntimeError(message) from error


def test_python_as_this_very_interpreter_prints_it() -> None:
    try:
        _pay()
    except RuntimeError as error:
        text = "".join(traceback.format_exception(error))
    cause, last = read_stack(text, "python")
    assert (cause.type, cause.value) == ("OSError", "no route\n\nto host")
    assert (last.type, last.value) == ("RuntimeError", "payment failed")
    assert [frame["function"] for frame in cause.frames] == ["_pay", "_charge"]
    assert cause.frames[-1]["abs_path"] == __file__
    assert cause.frames[-1]["context_line"] == "raise OSError(message)"


def test_a_group_of_python_exceptions_stands_after_its_members() -> None:
    try:
        _charge()
    except OSError as error:
        member = error
    try:
        raise ExceptionGroup("two", [ValueError("one"), member])  # noqa: TRY301 -- it must have a stack
    except ExceptionGroup as error:
        first, second, group = read_stack("".join(traceback.format_exception(error)), "python")
    assert (first.type, first.value, first.frames) == ("ValueError", "one", [])
    assert (second.type, second.frames[-1]["function"]) == ("OSError", "_charge")
    assert (group.type, group.value) == ("ExceptionGroup", "two (2 sub-exceptions)")
    assert len(group.frames) == 1


def test_repeated_lines_of_a_recursion_are_frames() -> None:
    def endless(depth: int) -> None:
        endless(depth + 1)

    limit = sys.getrecursionlimit()
    try:
        endless(0)
    except RecursionError as error:
        [found] = read_stack("".join(traceback.format_exception(error)), "python")
    assert limit // 2 < len(found.frames) <= MAX_FRAMES


@pytest.mark.parametrize("text", [JAVA, NODE, GO, DOTNET, RUBY, PHP, RUST, ELIXIR])
def test_a_wrong_or_unknown_platform_does_not_hide_the_frames(text: str) -> None:
    assert read_stack(text, "other")
    assert sum(len(one.frames) for one in read_stack(text, "cocoa")) >= 2


@pytest.mark.parametrize("text", ["", "nothing to see", "a: b\nc", "Traceback (most recent call last):", "\x00" * 100])
def test_a_text_without_frames_is_no_stack(text: str) -> None:
    assert read_stack(text, "python") == []


HOSTILE = [
    "at " + "(" * 4_000,
    "at " + "a (" * 2_000,
    " at a(" + ") in " * 1_000,
    " " * 4_000 + "--->",
    "#0 " + "a(1): x(" * 500,
    "x: " + " in a:" * 700,
    "at " + "a.b/" * 1_000 + "(",
    "a:1: " + " (A" * 1_300,
    "(" + "a." * 2_000,
    "@" * 4_000,
    "Caused by: a\n\tat a.b(c:1)\n\t... 999999 more",
    'Traceback (most recent call last):\n  File "a", line 1, in b\n  [Previous line repeated 999999 more times]',
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_takes_little_time_and_room(line: str) -> None:
    text = "\n".join([line] * (262_144 // len(line)))
    started = time.process_time()
    found = read_stack(text, None)
    assert time.process_time() - started < 10, "linear patterns take a second at most, on any machine"
    assert len(found) <= MAX_EXCEPTIONS
    assert all(len(one.frames) <= MAX_FRAMES for one in found)
