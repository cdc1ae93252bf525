"""`make kill`: every crash point of the order path × the faults of a broker, and the mutants that must be caught."""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from faults import FAULTS
from harness import STORIES, Scenario, World
from mutants import MUTANTS

from db.embedded import embedded
from db.migrate import migrate


def directed(world: World, repeat: int) -> list[Scenario]:
    """Every point of every story at each of its times, `repeat` kills a point at least."""
    found = []
    for story in STORIES:
        found += [Scenario(story, (), p, n) for p, times in world.points(story).items() for n in range(times)]
    for faults in [("after",), ("before",), ("reject",), ("late",), ("invisible",), ("before", "reject")]:
        reached = world.points(STORIES[0], faults)
        found += [Scenario(STORIES[0], faults, p, n) for p, times in reached.items() for n in range(min(times, 2))]
    by_point = {}
    for scenario in found:
        by_point.setdefault(scenario.point, []).append(scenario)
    for same in by_point.values():
        found += [same[i % len(same)] for i in range(max(0, repeat - len(same)))]
    return found


def pairs(world: World) -> list[Scenario]:
    """Every ordered pair of faults, without a kill and with one at each point that it reaches."""
    found = []
    for faults in product(FAULTS, FAULTS):
        found.append(Scenario(STORIES[0], faults))
        found += [Scenario(STORIES[0], faults, point) for point in world.points(STORIES[0], faults)]
    return found


def play(world: World, scenarios: Sequence[Scenario], *, stop_at_first: bool = False) -> int:
    """Run scenarios and return how many failed."""
    failed = 0
    for scenario in scenarios:
        if wrong := world.run(scenario):
            failed += 1
            sys.stdout.write(f"FAILED {scenario}: {wrong}\n")
            if stop_at_first:
                break
    return failed


def outages(world: World, repeat: int) -> int:
    """Kill PostgreSQL under load, at random moments; returns how often something was lost or doubled."""
    chance, failed = random.Random(2), 0
    for _ in range(repeat):
        if wrong := world.run_without_postgres(8, chance):
            failed += 1
            sys.stdout.write(f"FAILED {wrong}\n")
    sys.stdout.write(f"postgres: {repeat} × SIGKILL of the server under 8 people, {failed} failed\n")
    return failed


def controls(world: World) -> int:
    """Run every mutant until the harness catches it; returns how many escape, or fail without their bug."""
    escaped = 0
    for mutant in MUTANTS:
        world.sweep()
        escaped += play(world, mutant.scenarios)
        with mutant.bug(world.url):
            caught = play(world, mutant.scenarios, stop_at_first=True)
        sys.stdout.write(f"{'caught ' if caught else 'ESCAPED'} {mutant.name}\n")
        escaped += not caught
    return escaped


def main() -> int:
    """Run it all on an embedded PostgreSQL of its own."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repeat", type=int, default=50, help="kills at each point, at least")
    options.add_argument("--only", choices=("directed", "pairs", "postgres", "mutants"))
    options.add_argument("--sample", type=int, help="play so many scenarios of each part, chosen by chance")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as home, asyncio.Runner() as runner:
        server = embedded(Path(home))
        running = runner.run(server.__aenter__())
        runner.run(migrate(running.url))
        world, failed = World(running.url, Path(running.log).parent / "data" / "postmaster.pid"), 0
        parts = {"directed": lambda: directed(world, chosen.repeat), "pairs": lambda: pairs(world)}
        for name, make in parts.items():
            if chosen.only in (None, name):
                scenarios = make()
                random.Random(1).shuffle(scenarios)
                scenarios = scenarios[: chosen.sample]
                started = time.monotonic()
                wrong = play(world, scenarios)
                failed += wrong
                took = time.monotonic() - started
                sys.stdout.write(f"{name}: {len(scenarios)} scenarios, {wrong} failed, {took:.0f} s\n")
        if chosen.only in (None, "postgres"):
            failed += outages(world, chosen.sample or chosen.repeat)
        for point, times in sorted(world.killed.items()):
            sys.stdout.write(f"{times:6} × SIGKILL at {point}\n")
        if chosen.only in (None, "mutants"):
            failed += controls(world)
        runner.run(server.__aexit__(None, None, None))
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
