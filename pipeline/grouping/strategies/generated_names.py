"""Names that compilers and runtimes make: what they number, hash or date is removed, since it differs from build to build.

The tables are dated data, one row a kind of name. A released table never changes, because every change regroups events. What is
left of a name says which function it belongs to, so that closures of two functions stay apart. See docs/grouping.md, "Kinds".

This file is long because it is one table, with an example in each row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lru import LRU

from pipeline.grouping.strategies.pattern_literals import literal_in

Part = Literal["module", "function", "filename"]

MAX_CACHED = 16_384
MAX_CACHED_CHARS = 200
"""The names whose result is cached, and how long each may be: together some 10 MB. Stacks share most of their names."""

MAX_NAME_CHARS = 1_024
"""A longer name is left as it is. SDKs and normalization allow a few hundred characters."""


@dataclass(frozen=True, slots=True)
class GeneratedName:
    """One kind of name. `pattern` is what changes from build to build, with what it stands beside; `kept` is what is left.

    `platforms` are those whose names are cleaned, and `parts` the parts of a frame. `example` is a name and what it becomes.
    Every name that the pattern matches contains `mark`, which saves trying the pattern on other names.
    """

    kind: str
    platforms: frozenset[str]
    parts: tuple[Part, ...]
    pattern: re.Pattern[str]
    kept: str
    example: tuple[str, str]
    mark: str


class Table:
    """The rows of one date, and for each platform and part those that apply, in order."""

    def __init__(self, *rows: GeneratedName) -> None:
        self.rows = rows
        self._applying: dict[tuple[str, Part], list[GeneratedName]] = {}
        for row in rows:
            for platform in row.platforms:
                for part in row.parts:
                    self._applying.setdefault((platform, part), []).append(row)
        self._cached: LRU[tuple[str, str, Part], tuple[str, str | None]] = LRU(MAX_CACHED)

    def clean(self, name: str, platform: str, part: Part) -> tuple[str, str | None]:
        """Return a name as it is grouped by, and the kinds of generated names that it held, or None if it held none."""
        rows = self._applying.get((platform, part))
        if rows is None or len(name) > MAX_NAME_CHARS:
            return name, None
        found = self._cached.get((name, platform, part))
        if found is None:
            found = _clean(name, rows)
            if len(name) <= MAX_CACHED_CHARS:
                self._cached[name, platform, part] = found
        return found


def _clean(name: str, rows: Sequence[GeneratedName]) -> tuple[str, str | None]:
    kinds = []
    for row in rows:
        if row.mark in name:
            cleaned = row.pattern.sub(row.kept, name)
            if cleaned != name:
                kinds.append(row.kind)
                name = cleaned
    return name, ", ".join(kinds) or None


def _rows(platforms: str, *rows: tuple[str, str, str, str, str, str]) -> list[GeneratedName]:
    """Return rows of one family of platforms: kind, parts, pattern, what is kept, an example and what it becomes."""
    return [
        GeneratedName(
            kind,
            frozenset(platforms.split()),
            tuple(parts.split()),  # type: ignore[arg-type] # the rows below name parts only
            re.compile(pattern),
            kept,
            (example, cleaned),
            literal_in(pattern),
        )
        for kind, parts, pattern, kept, example, cleaned in rows
    ]


_HEX_ID = r"[a-fA-F0-9]+(?:_[0-9]+)?"

_JVM = _rows(
    "java",
    (
        "reflection accessor",
        "module",
        r"((?:sun|jdk\.internal)\.reflect\.Generated(?:Method|Constructor|SerializationConstructor)Accessor)\d.*",
        r"\1<auto>",
        "jdk.internal.reflect.GeneratedMethodAccessor12",
        "jdk.internal.reflect.GeneratedMethodAccessor<auto>",
    ),
    (
        "lambda class of D8",
        "module",
        r"(-\$\$Lambda\$(?:[\w$]+?\$)?)[A-Za-z0-9_-]{27}$",
        r"\1<auto>",
        "shop.-$$Lambda$Cart$ucBvPpMty8S-wiNPHLuaeALrbr0",
        "shop.-$$Lambda$Cart$<auto>",
    ),
    (
        "lambda class",
        "module",
        r"(?<!-)(\$\$Lambda)(?!<)(?:\$(?:\d+|[0-9a-f]{16,64})\b)?(?:[/.+](?:0x)?[0-9a-fA-F]+)?(?:@[0-9a-f]+)?",
        r"\1<auto>",
        "shop.Cart$$Lambda$14/0x0000000800066840",
        "shop.Cart$$Lambda<auto>",
    ),
    (
        "synthetic class of R8",
        "module",
        r"(\$\$(?:External|Internal)Synthetic[A-Za-z]+)\$?\d+(?:\$[0-9a-f]{8,64})?(?:\$\d+)*",
        r"\1<auto>",
        "shop.Cart$$ExternalSyntheticLambda12",
        "shop.Cart$$ExternalSyntheticLambda<auto>",
    ),
    (
        "method of R8",
        "function",
        r"(\$r8\$lambda\$)[A-Za-z0-9_-]{27}",
        r"\1<auto>",
        "$r8$lambda$ucBvPpMty8S-wiNPHLuaeALrbr0",
        "$r8$lambda$<auto>",
    ),
    ("mapping of R8", "filename", r"^(r8-map-id-)[0-9a-f]+$", r"\1<auto>", "r8-map-id-3f2a91c0", "r8-map-id-<auto>"),
    (
        "lambda form",
        "module",
        r"(LambdaForm\$(?:MH|DMH|BMH|VH))[/.]?(?:0x)?[0-9a-fA-F]+(?:/(?:0x)?[0-9a-fA-F]+)?",
        r"\1<auto>",
        "java.lang.invoke.LambdaForm$MH/0x00000008000c1000",
        "java.lang.invoke.LambdaForm$MH<auto>",
    ),
    (
        "hidden class",
        "module",
        r"(?<=[\w$])[/+]0x[0-9a-fA-F]{4,16}$|(?<=[\w$])/\d{5,}$",
        "/<auto>",
        "shop.Cart/0x0000000800c03000",
        "shop.Cart/<auto>",
    ),
    (
        "proxy class",
        "module",
        r"(?:\bjdk\.proxy\d+\.|\bcom\.sun\.proxy\.)?(\$\$?Proxy)\d+",
        r"\1<auto>",
        "jdk.proxy2.$Proxy42",
        "$Proxy<auto>",
    ),
    (
        "CGLIB",
        "module",
        rf"(\$\$\w+?CGLIB\$\$)(?:{_HEX_ID}|\d+)",
        r"\1<auto>",
        "shop.Cart$$EnhancerBySpringCGLIB$$1ebdddb5_1",
        "shop.Cart$$EnhancerBySpringCGLIB$$<auto>",
    ),
    (
        "enhancer",
        "module",
        rf"(\$\$?EnhancerBy\w+?\$?\$){_HEX_ID}",
        r"\1<auto>",
        "shop.Cart$EnhancerByGuice$3f2a91c0",
        "shop.Cart$EnhancerByGuice$<auto>",
    ),
    (
        "fast class",
        "module",
        rf"(\$\$?FastClassBy\w+?\$?\$){_HEX_ID}",
        r"\1<auto>",
        "shop.Cart$$FastClassByGuice$$e7645040",
        "shop.Cart$$FastClassByGuice$$<auto>",
    ),
    (
        "Hibernate proxy",
        "module",
        r"(\$\$?HibernateProxy\$?\$)\w+",
        r"\1<auto>",
        "shop.Cart$HibernateProxy$aBc1",
        "shop.Cart$HibernateProxy$<auto>",
    ),
    (
        "Javassist",
        "module filename",
        r"(\$\$_javassist)(?!<)(?:_seam)?(?:_[0-9]+)?|(\$\$_jvst)[0-9a-f]+_[0-9a-f]+",
        r"\1\2<auto>",
        "shop.Cart_$$_javassist_seam_12",
        "shop.Cart_$$_javassist<auto>",
    ),
    ("Byte Buddy", "module", r"(\$ByteBuddy\$)\w+", r"\1<auto>", "shop.Cart$ByteBuddy$aB3dE5fG", "shop.Cart$ByteBuddy$<auto>"),
    ("mock", "module", r"(\$MockitoMock\$)\d+", r"\1<auto>", "shop.Cart$MockitoMock$1374", "shop.Cart$MockitoMock$<auto>"),
    (
        "Clojure function",
        "module function",
        r"(\$[\w$]*?__)\d+|(\$eval)\d+",
        r"\1\2<auto>",
        "shop.cart$pay$fn__12345",
        "shop.cart$pay$fn__<auto>",
    ),
    ("Groovy closure", "module", r"(_closure)\d+", r"\1<auto>", "shop.Cart$_pay_closure3", "shop.Cart$_pay_closure<auto>"),
    (
        "Scala function",
        "module function",
        r"(\$anonfun\$[\w$]+?)\$\d+(\$adapted)?$",
        r"\1",
        "$anonfun$pay$1",
        "$anonfun$pay",
    ),
    (
        "code of Spark",
        "module",
        r"(Codegen(?:Stage|Iterator))\d+",
        r"\1<auto>",
        "GeneratedClass$GeneratedIteratorForCodegenStage3",
        "GeneratedClass$GeneratedIteratorForCodegenStage<auto>",
    ),
    (
        "lambda method",
        "function",
        r"^(lambda(?:\$[^$]+)*?)\$\d+(\$[\w-]+)?$|(\$lambda|^lambda)[$-]\d+",
        r"\1\2\3",
        "lambda$checkout$3",
        "lambda$checkout",
    ),
    (
        "lambda class of Kotlin",
        "module",
        r"(\$lambda)[$-]\d+(?:\$\d+)?$",
        r"\1",
        "shop.ComposableSingletons$MainKt$lambda-1$1",
        "shop.ComposableSingletons$MainKt$lambda",
    ),
    ("accessor method", "function", r"^(access\$)\d+$", r"\1<auto>", "access$1200", "access$<auto>"),
)

_DOTNET = _rows(
    "csharp",
    (
        "state machine",
        "module function",
        r"(>d(?:__)?)\d+",
        r"\1",
        "Shop.Cart+<PayAsync>d__12",
        "Shop.Cart+<PayAsync>d__",
    ),
    (
        "closure class",
        "module function",
        r"(>c__(?:DisplayClass|AnonStorey|Iterator))[0-9A-F]+(?:_\d+)?",
        r"\1",
        "Shop.Cart+<>c__DisplayClass5_0",
        "Shop.Cart+<>c__DisplayClass",
    ),
    (
        "closure",
        "module function",
        r"(>[bn]__)\d+_|(>[gm]__(?:[A-Za-z]\w*\||Finally)?)\d+(?:_\d+)*",
        r"\1\2",
        "<Pay>b__5_0(Object o)",
        "<Pay>b__0(Object o)",
    ),
    (
        "anonymous type",
        "module function",
        r"(<>f__Anonymous(?:Type|Delegate))\d+",
        r"\1",
        "<>f__AnonymousType3`2",
        "<>f__AnonymousType`2",
    ),
    (
        "closure of Visual Basic",
        "module function",
        r"(_Closure\$__|_Lambda\$__[A-Z]?|VB\$StateMachine_)[0-9R]+(?:-\d+)*_?",
        r"\1",
        "Shop.Cart+_Closure$__12-0",
        "Shop.Cart+_Closure$__",
    ),
    ("closure of F#", "module function", r"@\d+(?:-\d+)?", "@", "Shop.Cart+pay@23-1", "Shop.Cart+pay@"),
    ("compiled expression", "function", r"\b(lambda_method)\d+", r"\1", "lambda_method12(Closure)", "lambda_method(Closure)"),
    (
        "proxy class",
        "module",
        r"(DynamicProxies\.\w+?_)[0-9A-F]{32,64}|(Castle\.Proxies\.\w+?Proxy)_\d+",
        r"\1\2",
        "System.Data.Entity.DynamicProxies.Cart_" + "0A" * 32,
        "System.Data.Entity.DynamicProxies.Cart_",
    ),
)

_IL2CPP = _rows(
    "native c cocoa objc csharp",
    (
        "IL2CPP hash",
        "function",
        r"_([mtg])(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40})(?![0-9A-Fa-f])",
        r"_\1",
        "Cart_Pay_m0123456789ABCDEF0123456789ABCDEF01234567",
        "Cart_Pay_m",
    ),
    (
        "state machine of IL2CPP",
        "function",
        r"(U3C\w*?U3E(?:d|b|c|g)__(?:DisplayClass)?)[0-9_]*\d(?=_|$)",
        r"\1",
        "U3CPayAsyncU3Ed__12_MoveNext_m",
        "U3CPayAsyncU3Ed___MoveNext_m",
    ),
)

_NATIVE = _rows(
    "native c cocoa objc swift rust",
    (
        "lambda",
        "function",
        (
            r"<lambda(?:_(?:[0-9a-f]{32}|\d+))?>|'lambda\d*'|\{lambda(?:\([^()]*\))?#\d+\}|\blambda_[0-9a-f]{32}\b|\$_\d+\b"
            r"|\{\{lambda\}\}|__lambda\d+"
        ),
        "lambda",
        "shop::pay::'lambda0'::operator()",
        "shop::pay::lambda::operator()",
    ),
    (
        "closure of Rust",
        "function",
        r"\{(closure|closure_env|impl|async_fn|async_fn_env|async_block|async_block_env|gen_block|gen_block_env|shim:\w+)#\d+\}",
        r"{\1}",
        "shop::cart::pay::{closure#0}",
        "shop::cart::pay::{closure}",
    ),
    ("closure of Rust", "function", r"\{\{closure\}\}", "{closure}", "shop::pay::{{closure}}", "shop::pay::{closure}"),
    ("hash of Rust", "function", r"::h[0-9a-f]{16}\b", "", "shop::pay::h0123456789abcdef", "shop::pay"),
    (
        "block",
        "function",
        r"(?:\b__\d+)?([-+]\[.*\]|\w+)_block_invoke(?:[._]?\d+)*",
        r"\1_block_invoke",
        "__16-[Cart pay:]_block_invoke.42",
        "-[Cart pay:]_block_invoke",
    ),
    (
        "part of a split function",
        "function",
        r"(?:\.(?:cold|part|isra|constprop|lto_priv|llvm|specialized|resume|destroy|cleanup|thunk|localalias)(?:\.\d+)*)+$",
        "",
        "shop_pay.constprop.0.cold.1",
        "shop_pay",
    ),
    ("OCaml", "function", r"^(caml[A-Z]\w*?__\w+?)_\d+$", r"\1", "camlShop__pay_1234", "camlShop__pay"),
    (
        "lambda of Kotlin",
        "function",
        r"(\$lambda)[$-]\d+",
        r"\1",
        "kfun:shop.Cart#pay$lambda$2",
        "kfun:shop.Cart#pay$lambda",
    ),
)

_GO = _rows(
    "go",
    (
        "wrapper of Go",
        "function",
        r"(?:\.(?:gowrap|deferwrap)\d+)+$|-fm$",
        "",
        "(*Cart).pay.func1.deferwrap2",
        "(*Cart).pay.func1",
    ),
)
"""Closures keep their numbers: one function often registers many handlers, and the number says which of them it is."""

_RUBY = _rows(
    "ruby",
    ("block", "function", r"^block .*", "block", "block (2 levels) in pay", "block"),
    (
        "template",
        "function",
        r"_{2,}\d{4,}_\d{2,}$",
        "",
        "_app_views_carts_show_html_erb___3333333333333_444444",
        "_app_views_carts_show_html_erb",
    ),
    ("template", "function", r"(__tilt_|__bind_)\d+(?:_\d+)*", r"\1", "__tilt_70123456", "__tilt_"),
    (
        "callback",
        "function",
        r"(_callback_(?:before|after|around)_)\d+|(_run__)\d+(?=__)",
        r"\1\2",
        "_callback_before_12",
        "_callback_before_",
    ),
)

_PHP = _rows(
    "php",
    (
        "anonymous class",
        "module function",
        r"(@anonymous)(?!::)(?:.+(?=::)|[^:].*$)",
        r"\1",
        "App\\Handler@anonymous\0/srv/1/Job.php:12$0::handle",
        "App\\Handler@anonymous::handle",
    ),
    (
        "closure in a file",
        "module function",
        r"\{closure:(?![^{}]*\(\):\d+\})(?!\{closure)[^{}]*?([^{}/\\]+?)(?:\(\d+\) : [^{}]*)?:\d+\}",
        r"{closure:\1}",
        "{closure:/srv/2025-03-27T07-20-22Z/src/Job.php:12}",
        "{closure:Job.php}",
    ),
    (
        "closure in a closure",
        "module function",
        r"(?<=\{closure:)(\{closure:(?:[^{}]|\{closure[^{}]*\})*?(?:\(\)|\{closure\})):\d+(?=\}:\d+\})",
        r"\1",
        "{closure:{closure:run():3}:12}",
        "{closure:{closure:run()}}",
    ),
    (
        "closure",
        "module function",
        r"(\{closure:(?:[^{}]|\{closure[^{}]*\})*?(?:\(\)|\{closure[^{}]*\})):\d+(?=\})",
        r"\1",
        "{closure:App\\Job::run():12}",
        "{closure:App\\Job::run()}",
    ),
    (
        "container of Symfony",
        "module function",
        r"\b(Container)[A-Za-z0-9]{7}(?=\\)",
        r"\1",
        "ContainerVq2rGAe\\getCartService::do",
        "Container\\getCartService::do",
    ),
    (
        "mock",
        "module function",
        r"\b((?:Mock|Stub|TestStub|MockObject)_\w+?_)[0-9a-f]{8}\b",
        r"\1",
        "Mock_Cart_3f2a91c0::pay",
        "Mock_Cart_::pay",
    ),
    ("anonymous function", "function", r"^\[Anonymous.*", "", "[Anonymous function]", ""),
)

_PYTHON = _rows(
    "python",
    (
        "cell of a notebook",
        "filename",
        r"^(<ipython-input-)[\w-]+>$|^\d{6,}(\.py)$",
        r"\1<auto>\2",
        "<ipython-input-12-3f2a91c0>",
        "<ipython-input-<auto>",
    ),
    (
        "generated code",
        "filename",
        r"^(<(?:decorator-gen|lambdifygenerated|eval_with_key|string|makefun-gen)[->.]*)\d+>?$",
        r"\1<auto>",
        "<decorator-gen-42>",
        "<decorator-gen-<auto>",
    ),
)

TABLES: Mapping[str, Table] = {
    "2026-12-01": Table(*_JVM, *_DOTNET, *_IL2CPP, *_NATIVE, *_GO, *_RUBY, *_PHP, *_PYTHON),
}
"""The tables by date."""
