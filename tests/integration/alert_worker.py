"""A worker that does nothing but watch alerts, in a process that can be killed: DATABASE_URL, address of the stage."""

import asyncio
import sys

from alert_stage import Stage

from db.pool import Database


async def main(url, address):
    stage = Stage(address, await Database.open(url))
    await stage.watch().run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
