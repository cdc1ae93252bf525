import json
import logging

import pytest
import structlog

from services.log import setup_logging


@pytest.fixture
def restored_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_is_json_with_its_trace(restored_logging, capsys):
    setup_logging("json", "INFO", ())
    with structlog.contextvars.bound_contextvars(trace="3f9a1c02"):
        logging.getLogger("library").warning("from %s", "a library")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["trace"], line["level"]) == ("from a library", "3f9a1c02", "warning")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_gets_out_by_message_argument_or_traceback(restored_logging, capsys, log_format):
    setup_logging(log_format, "DEBUG", ["s3cret-token", "s3cret"])
    logger = logging.getLogger("test")
    try:
        int("refused s3cret-token")
    except ValueError:
        logger.exception("with %s", "s3cret")
    logger.info("POST https://discord.com/api/v10/interactions/123/aW50ZXJhY3Rpb24tdG9rZW4/callback")
    logger.info("PATCH https://discord.com/api/v10/webhooks/123/aW50ZXJhY3Rpb24tdG9rZW4/messages/@original")
    out = capsys.readouterr().err
    assert "ValueError" in out
    assert "s3cret" not in out
    assert "aW50" not in out
