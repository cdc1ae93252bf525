"""Data to take away."""

import asyncio
import gzip
from dataclasses import replace

from discord import app_commands

from bot.audience import reading
from bot.commands.chain import file_of
from bot.params import ExpiryParam, TickerParam
from bot.replies import Attachment, Interaction, Reply, answer
from services.errors import UserError
from services.plans import Kind

_MIB = 2**20

export = app_commands.Group(name="export", description="Data as files, for you alone")


@export.command(name="chain", description="An option chain as CSV, all expirations or one")
@app_commands.describe(
    symbol="An index, fund or stock with options, such as SPY",
    expiration="Such as 27 Nov, next friday or monthly; else all",
)
async def chain(
    interaction: Interaction,
    symbol: app_commands.Transform[str, TickerParam],
    expiration: app_commands.Transform[str, ExpiryParam] = "",
) -> None:
    """Answer with the chain as a file."""
    await answer(interaction, _chain(interaction, symbol, expiration), private=True)


async def _chain(interaction: Interaction, symbol: str, wanted: str) -> Reply:
    reader = await reading(interaction, Kind.EXPORT)
    table = file_of(await interaction.client.services.options.table(reader, symbol, wanted))
    file = await fitting(table, interaction.filesize_limit)
    return Reply(file.description, attachment=file, private=True)


async def fitting(file: Attachment, most: int) -> Attachment:
    """Return a file of at most `most` bytes, compressed if that takes it; raises UserError where it does not help."""
    if len(file.data) <= most:
        return file
    packed = await asyncio.to_thread(gzip.compress, file.data, 6)
    if len(packed) <= most:
        return replace(file, filename=f"{file.filename}.gz", data=packed)
    raise UserError(
        f"The file would have {len(packed) / _MIB:.1f} MiB even compressed, and Discord takes {most / _MIB:.1f} MiB "
        "here. Choose one expiration."
    )
