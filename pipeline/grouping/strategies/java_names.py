"""Removes from Java names the parts that runtimes and proxy libraries generate, since they differ from start to start.

See docs/spec/grouping.md, "Frames".
"""

from __future__ import annotations

import re

_REFLECTION = ("sun.reflect.GeneratedMethodAccessor", "jdk.internal.reflect.GeneratedMethodAccessor")
_JAVASSIST = re.compile(r"(\$\$_javassist)(?:_seam)?(?:_[0-9]+)?")
_HEX_TAIL = r"[a-fA-F0-9]+(?:_[0-9]+)?"
_GENERATED = (
    re.compile(r"(sun\.reflect\.Generated(?:Serialization)?ConstructorAccessor)\d+"),
    re.compile(rf"(\$\$\w+?CGLIB\$\$){_HEX_TAIL}"),
    _JAVASSIST,
    re.compile(r"(\$fn__)\d+"),  # Clojure
    re.compile(rf"(\$\$?EnhancerBy\w+?\$?\$){_HEX_TAIL}"),
    re.compile(rf"(\$\$?FastClassBy\w+?\$?\$){_HEX_TAIL}"),
    re.compile(r"(\$\$?HibernateProxy\$?\$)\w+(?:_[0-9]+)?"),
)
_NUMBERED = (
    re.compile(r"(\$\$Lambda)(?:\$\d+)?(?:/(?:0x)?[0-9a-fA-F]+)?"),  # Foo$$Lambda$14/0x0000000800066840
    re.compile(r"(\$\$SpringCGLIB\$\$)\d+"),
    re.compile(r"(\$\$?Proxy)\d+"),  # com.sun.proxy.$Proxy42
    re.compile(r"(Generated(?:Method|Constructor|SerializationConstructor)Accessor)\d+"),
    re.compile(r"(\$ByteBuddy\$)\w+"),
    re.compile(r"(\$MockitoMock\$)\d+"),
    re.compile(r"(LambdaForm\$(?:MH|DMH|BMH))[/.]?(?:0x)?[0-9a-fA-F]+"),
)
"""Generated names that only the project's own configuration cleans."""

_LAMBDA_NUMBER = re.compile(r"^(lambda\$.+)\$\d+$")
_BARE_LAMBDA_NUMBER = re.compile(r"^(lambda)\$\d+$")
_KOTLIN_LAMBDA = re.compile(r"(\$lambda)[$-]\d+")


def clean_file(name: str) -> str:
    """Remove Javassist's numbers from a file name."""
    return _JAVASSIST.sub(r"\1<auto>", name)


def clean_module(module: str, *, generated: bool) -> tuple[str, str]:
    """Return the class name without its generated end, and the hint for it. `generated` applies the project's own list too."""
    for prefix in _REFLECTION:
        if module.startswith(prefix):
            return prefix, "removed reflection marker"
    for pattern in (*_GENERATED, *_NUMBERED) if generated else _GENERATED:
        module = pattern.sub(r"\1<auto>", module)
    return module, "removed codegen marker"


def clean_function(name: str) -> str:
    """Remove the number that the compiler gives a lambda.

    >>> clean_function("lambda$checkout$3")
    'lambda$checkout'
    """
    name = _LAMBDA_NUMBER.sub(r"\1", name)
    name = _BARE_LAMBDA_NUMBER.sub(r"\1", name)
    return _KOTLIN_LAMBDA.sub(r"\1", name)
