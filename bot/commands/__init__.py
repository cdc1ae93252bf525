"""The slash commands, one file per subject; `ALL` is every one there is."""

from bot.client import Command
from bot.commands import gamma, help, market  # noqa: A004 - the command is called help

ALL: tuple[Command, ...] = (market.quote, gamma.gamma, help.help_command, help.status)
