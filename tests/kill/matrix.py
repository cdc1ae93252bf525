"""`make kill`: every crash point of orders (× the faults of a broker), of alerts and of delivery, and the mutants."""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice, product
from pathlib import Path

import mortal
import structlog
import told_mutants
from delivering import Deliveries
from faults import FAULTS
from firing import Firings
from harness import STORIES, Scenario, World
from mortal import Told
from mutants import MUTANTS, Mutant

from db.embedded import Server, embedded
from db.migrate import migrate

PARTS = ("directed", "pairs", "postgres", "mutants", "delivery", "alerts", "told mutants")
PATIENCE_WITH_MUTANTS_S = 2.0


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


def play(world: World | Told, scenarios: Sequence, *, stop_at_first: bool = False) -> int:
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


def everywhere(world: Told, repeat: int, sample: int | None) -> int:
    """Kill `repeat` times at each point, in turn in each story that reaches it; returns how many scenarios failed."""
    found: dict[str, list[mortal.Scenario]] = {}
    for story in world.stories:
        for point, times in world.points(story).items():
            found.setdefault(point, []).extend(mortal.Scenario(story, point, nth) for nth in range(times))
    if sample:
        return play(world, random.Random(1).sample([scenario for same in found.values() for scenario in same], sample))
    failed = 0
    for point, same in found.items():
        # not each of them kills: how often a point is reached is a matter of chance
        for scenario in islice(cycle(same), 3 * repeat):
            failed += play(world, [scenario]) if world.killed[point] < repeat else 0
        if world.killed[point] < repeat:
            sys.stdout.write(f"FAILED only {world.killed[point]} kills {point}\n")
            failed += 1
    return failed


def controls(world: World) -> int:
    """Run every mutant until the harness catches it; returns how many escape, or fail without their bug."""
    escaped = 0
    for mutant in MUTANTS:
        world.sweep()
        escaped += play(world, mutant.scenarios)
        escaped += _escapes(world, mutant, world.url)
    return escaped


def told_controls(world: Told, mutants: Sequence[Mutant], url: str) -> int:
    """Do the same with the mutants of what people are told."""
    escaped = 0
    for mutant in mutants:
        escaped += play(world, mutant.scenarios)
        patience_s, world.patience_s = world.patience_s, PATIENCE_WITH_MUTANTS_S
        escaped += _escapes(world, mutant, url)
        world.patience_s = patience_s
    return escaped


def _escapes(world: World | Told, mutant: Mutant, url: str) -> bool:
    with mutant.bug(url):
        caught = play(world, mutant.scenarios, stop_at_first=True)
    sys.stdout.write(f"{'caught ' if caught else 'ESCAPED'} {mutant.name}\n")
    return not caught


def orders(server: Server, chosen: argparse.Namespace) -> int:
    """Play the parts of the order path; returns how many scenarios failed."""
    world, failed = World(server.url, Path(server.log).parent / "data" / "postmaster.pid"), 0
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
    _print_kills(world)
    if chosen.only in (None, "mutants"):
        failed += controls(world)
    return failed


def told(server: Server, chosen: argparse.Namespace, runner: asyncio.Runner) -> int:
    """Play what fires alerts and what delivers notices; returns how many scenarios failed."""
    failed = 0
    for name, kind, mutants in (
        ("delivery", Deliveries, told_mutants.DELIVERY),
        ("alerts", Firings, told_mutants.ALERTS),
    ):
        world = kind(runner, server.url, server.superuser_url)
        if chosen.only in (None, name):
            started = time.monotonic()
            wrong = everywhere(world, chosen.repeat, chosen.sample)
            failed += wrong
            took = time.monotonic() - started
            sys.stdout.write(f"{name}: {world.played} scenarios, {wrong} failed, {took:.0f} s\n")
            _print_kills(world)
        if chosen.only in (None, "told mutants"):
            failed += told_controls(world, mutants, server.url)
    return failed


def _print_kills(world: World | Told) -> None:
    for point, times in sorted((point, times) for point, times in world.killed.items() if point):
        sys.stdout.write(f"{times:6} × SIGKILL {point}\n")


def main() -> int:
    """Run it all on an embedded PostgreSQL of its own."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repeat", type=int, default=50, help="kills at each point, at least")
    options.add_argument("--only", choices=PARTS)
    options.add_argument("--sample", type=int, help="play so many scenarios of each part, chosen by chance")
    chosen = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    with tempfile.TemporaryDirectory() as home, asyncio.Runner() as runner:
        server = embedded(Path(home))
        running = runner.run(server.__aenter__())
        runner.run(migrate(running.url))
        failed = orders(running, chosen) + told(running, chosen, runner)
        runner.run(server.__aexit__(None, None, None))
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
