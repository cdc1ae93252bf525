"""Logs: one line per event, with the trace id of the request that caused it, and never a secret."""

import logging
import re
import sys
from collections.abc import Iterable
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Whoever holds an interaction's token can answer in the bot's name for fifteen minutes.
_TOKENS_IN_URLS = re.compile(r"(/(?:webhooks|interactions)/\d+/)[\w.-]+")
# Masking a shorter one would eat ordinary words; real ones are far longer.
SHORTEST_SECRET = 6
_QUIET = ("apscheduler", "httpx", "httpcore", "aiohttp.access", "matplotlib")


def setup_logging(log_format: Literal["console", "json"], level: str, secrets: Iterable[str]) -> None:
    """Send the logs of this process, ours and the libraries', to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(log_format),
                _Mask(secrets),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _renderers(log_format: Literal["console", "json"]) -> list[Processor]:
    if log_format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


class _Mask:
    """Hides secrets in the finished line, so that no message, argument or traceback can carry one out."""

    def __init__(self, secrets: Iterable[str]) -> None:
        longest_first = sorted({s for s in secrets if len(s) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, _logger: WrappedLogger, _method: str, line: EventDict | str) -> str:
        text = _TOKENS_IN_URLS.sub(r"\1•••", str(line))
        return self._secrets.sub("•••", text) if self._secrets else text
