"""Mechanisms: how an exception was caught, with names for the numbers that systems use, and the form that old Apple SDKs send.

See docs/spec/normalization.md, "Exceptions and stack traces".
"""

from __future__ import annotations

from typing import Any

from pipeline.model.event_path import EventPath
from pipeline.stages.normalize.remarks import Remarks
from pipeline.stages.normalize.shapes import record
from pipeline.stages.normalize.size_limits import free_value, sized_object
from pipeline.stages.normalize.values import Parser, boolean, signed, string, text, trim, unsigned


def _help_link(value: Any, path: EventPath, remarks: Remarks) -> str | None:
    link = string(value, path, remarks)
    if link is None or link.startswith(("http://", "https://")):
        return link and trim(link, path, remarks, 256, 40)
    remarks.invalid(path, "expected http URL", link)
    return None


_data = sized_object(2048, 5)
_cerror = record({"number": signed, "name": string}, "cerror")
_mach = record({"exception": signed, "code": unsigned, "subcode": unsigned, "name": string}, "machexception")
_posix = record({"number": signed, "code": signed, "name": string, "code_name": string}, "posixsignal")
_meta = record(
    {
        "errno": _cerror,
        "signal": _posix,
        "mach_exception": _mach,
        "ns_error": record({"code": signed, "domain": string}, "nserror"),
    },
    "mechanismmeta",
    keep=free_value(2048, 5),
)
_FIELDS: dict[str, Parser] = {
    "type": text(128),
    "synthetic": boolean,
    "description": text(8192, 200),
    "help_link": _help_link,
    "handled": boolean,
    "source": string,
    "is_exception_group": boolean,
    "exception_id": unsigned,
    "parent_id": unsigned,
    "data": _data,
    "meta": _meta,
}
_fields = record(_FIELDS, "mechanism")
_old_signal = record({"signal": signed, "code": signed, "name": string, "code_name": string}, "posixsignal")
_old_mach = record({"exception": signed, "code": unsigned, "subcode": unsigned, "exception_name": string}, "machexception")


def mechanism(value: Any, path: EventPath, remarks: Remarks) -> dict[str, Any] | None:
    """Parse `mechanism`. An empty object counts as absent."""
    if type(value) is dict and value and _FIELDS.keys().isdisjoint(value):
        return _old_form(value, path, remarks)
    return _fields(value, path, remarks) or None


def _old_form(value: dict[str, Any], path: EventPath, remarks: Remarks) -> dict[str, Any]:
    """Parse what Apple SDKs sent before mechanisms had a type. Fields besides the two known ones become its data."""
    result: dict[str, Any] = {"type": "generic"}
    data = {key: child for key, child in value.items() if key not in {"posix_signal", "mach_exception"}}
    if data:
        result["data"] = _data(data, (path, "data"), remarks)
    meta: dict[str, Any] = {}
    meta_path = (path, "meta")
    if signal := _old_signal(value.get("posix_signal"), (meta_path, "signal"), remarks):
        meta["signal"] = {"number" if key == "signal" else key: child for key, child in signal.items()}
    if mach := _old_mach(value.get("mach_exception"), (meta_path, "mach_exception"), remarks):
        meta["mach_exception"] = {"name" if key == "exception_name" else key: child for key, child in mach.items()}
    if meta:
        result["meta"] = meta
    return result


def name_numbers(event: dict[str, Any]) -> None:
    """Name signals, their codes, error numbers and Mach exceptions where the sender gave numbers only.

    What a number means depends on the system. It is the one that `debug_meta` names, else that of the context `os`.
    """
    for exception in (event.get("exception") or {}).get("values") or ():
        meta = ((exception or {}).get("mechanism") or {}).get("meta")
        if meta:
            system = _system(event)
            _name(meta.get("errno"), "number", "name", _ERRNO.get(system, {}))
            signal = meta.get("signal")
            _name(signal, "number", "name", _SIGNALS.get(system, {}))
            if system == "darwin" and signal:
                _name(signal, "code", "code_name", _SIGNAL_CODES.get(signal.get("number"), {}))
            _name(meta.get("mach_exception"), "exception", "name", _MACH_EXCEPTIONS)


def _name(holder: dict[str, Any] | None, number: str, name: str, names: dict[int, str]) -> None:
    if holder and holder.get(name) is None and holder.get(number) in names:
        holder[name] = names[holder[number]]


_SYSTEMS = (
    dict.fromkeys(("ios", "ipados", "watchos", "tvos", "visionos", "macos", "mac os x"), "darwin")
    | dict.fromkeys(("linux", "android"), "linux")
    | {"windows": "windows"}
)


def _system(event: dict[str, Any]) -> str:
    sdk_info = (event.get("debug_meta") or {}).get("sdk_info") or {}
    system = (event.get("contexts") or {}).get("os") or {}
    name = sdk_info.get("sdk_name") or system.get("name")
    return _SYSTEMS.get(name.lower(), "") if isinstance(name, str) else ""


def _numbered(names: str, first: int = 1) -> dict[int, str]:
    """Return the names by consecutive numbers. A dash stands for a number without a name."""
    return {number: name for number, name in enumerate(names.split(), first) if name != "-"}


_FIRST_34 = (
    "EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD {11} ENOMEM EACCES EFAULT {15} EBUSY EEXIST EXDEV ENODEV "
    "ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY {26} EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE"
)
_ERRNO: dict[str, dict[int, str]] = {
    "linux": _numbered(
        _FIRST_34.replace("{11}", "EAGAIN").replace("{15}", "ENOTBLK").replace("{26}", "ETXTBSY")
        + " EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP - ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH "
        "ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT - EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG "
        "EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC "
        "ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE "
        "ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL "
        "ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS "
        "ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM "
        "EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD "
        "ENOTRECOVERABLE ERFKILL EHWPOISON"
    ),
    "darwin": _numbered(
        _FIRST_34.replace("{11}", "EDEADLK").replace("{15}", "ENOTBLK").replace("{26}", "ETXTBSY")
        + " EAGAIN EINPROGRESS EALREADY ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT "
        "ESOCKTNOSUPPORT ENOTSUP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET "
        "ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED ELOOP "
        "ENAMETOOLONG EHOSTDOWN EHOSTUNREACH ENOTEMPTY EPROCLIM EUSERS EDQUOT ESTALE EREMOTE EBADRPC ERPCMISMATCH "
        "EPROGUNAVAIL EPROGMISMATCH EPROCUNAVAIL ENOLCK ENOSYS EFTYPE EAUTH ENEEDAUTH EPWROFF EDEVERR EOVERFLOW "
        "EBADEXEC EBADARCH ESHLIBVERS EBADMACHO ECANCELED EIDRM ENOMSG EILSEQ ENOATTR EBADMSG EMULTIHOP ENODATA ENOLINK "
        "ENOSR ENOSTR EPROTO ETIME EOPNOTSUPP ENOPOLICY ENOTRECOVERABLE EOWNERDEAD EQFULL"
    ),
    "windows": _numbered(
        _FIRST_34.replace("{11}", "EAGAIN").replace("{15}", "-").replace("{26}", "-")
        + " - EDEADLK - ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY EILSEQ"
    )
    | {80: "STRUNCATE"}
    | _numbered(
        "EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EALREADY EBADMSG ECANCELED ECONNABORTED ECONNREFUSED ECONNRESET "
        "EDESTADDRREQ EHOSTUNREACH EIDRM EINPROGRESS EISCONN ELOOP EMSGSIZE ENETDOWN ENETRESET ENETUNREACH ENOBUFS "
        "ENODATA ENOLINK ENOMSG ENOPROTOOPT ENOSR ENOSTR ENOTCONN ENOTRECOVERABLE ENOTSOCK ENOTSUP EOPNOTSUPP EOTHER "
        "EOVERFLOW EOWNERDEAD EPROTO "
        "EPROTONOSUPPORT EPROTOTYPE ETIME ETIMEDOUT ETXTBSY EWOULDBLOCK",
        100,
    ),
}
_SIGNALS: dict[str, dict[int, str]] = {
    "linux": _numbered(
        "SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM "
        "SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF "
        "SIGWINCH SIGIO SIGPWR SIGSYS"
    ),
    "darwin": _numbered(
        "SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGPOLL SIGFPE SIGKILL SIGBUS SIGSEGV SIGSYS SIGPIPE SIGALRM "
        "SIGTERM SIGURG SIGSTOP SIGTSTP SIGCONT SIGCHLD SIGTTIN SIGTTOU SIGIO SIGXCPU SIGXFSZ SIGVTALRM SIGPROF "
        "SIGWINCH SIGINFO SIGUSR1 SIGUSR2"
    ),
}
_SIGNAL_CODES: dict[int | None, dict[int, str]] = {
    4: _numbered("ILL_NOOP ILL_ILLOPC ILL_ILLTRP ILL_PRVOPC ILL_ILLOPN ILL_ILLADR ILL_PRVREG ILL_COPROC ILL_BADSTK", 0),
    5: _numbered("TRAP_BRKPT TRAP_TRACE"),
    7: _numbered("POLL_IN POLL_OUT POLL_MSG POLL_ERR POLL_PRI POLL_HUP"),
    8: _numbered("FPE_NOOP FPE_FLTDIV FPE_FLTOVF FPE_FLTUND FPE_FLTRES FPE_FLTINV FPE_FLTSUB FPE_INTDIV FPE_INTOVF", 0),
    10: _numbered("BUS_NOOP BUS_ADRALN BUS_ADRERR BUS_OBJERR", 0),
    11: _numbered("SEGV_NOOP SEGV_MAPERR SEGV_ACCERR", 0),
    20: _numbered("CLD_NOOP CLD_EXITED CLD_KILLED CLD_DUMPED CLD_TRAPPED CLD_STOPPED CLD_CONTINUED", 0),
}
"""Darwin's codes of a signal, by its number."""
_MACH_EXCEPTIONS = _numbered(
    "EXC_BAD_ACCESS EXC_BAD_INSTRUCTION EXC_ARITHMETIC EXC_EMULATION EXC_SOFTWARE EXC_BREAKPOINT EXC_SYSCALL EXC_MACH_SYSCALL "
    "EXC_RPC_ALERT EXC_CRASH EXC_RESOURCE EXC_GUARD EXC_CORPSE_NOTIFY"
)
