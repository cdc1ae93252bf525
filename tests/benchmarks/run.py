"""Runs every benchmark, prints its figures beside their limits, and writes JSON into the file named by BENCH_JSON.

Wherever the machine's speed would decide, figures are ratios against a baseline measured in the same run, or stand
beside what they would be at a reference speed (see pace.py), which is then held against the limit. A figure over its
limit makes the exit status 1.
"""

import importlib
import json
import os
import platform
import sys
from pathlib import Path

from pace import Figure

HERE = Path(__file__).parent


def main() -> int:
    sys.path.insert(0, str(HERE))
    wanted = sys.argv[1:] or sorted(path.stem for path in HERE.glob("bench_*.py"))
    results: dict[str, dict[str, object]] = {}
    late = False
    for name in wanted:
        module = importlib.import_module(name)
        limits = getattr(module, "LIMITS", {})
        print(f"\n{name:<54} {'measured':>12} {'at reference':>12}", flush=True)
        figures = module.figures()
        for figure, value in figures.items():
            limit, judged = limits.get(figure), value.at_reference if isinstance(value, Figure) else value
            over = limit is not None and judged > limit
            late |= over
            note = "" if limit is None else f"   limit {limit:g}{'   OVER' if over else ''}"
            print(f"  {figure:<52} {value:>12.3f} {_other(judged, value):>12}{note}", flush=True)
        at_reference = {name: value.at_reference for name, value in figures.items() if isinstance(value, Figure)}
        results[name] = {"figures": figures, "at_reference": at_reference, "limits": limits}
    if target := os.environ.get("BENCH_JSON"):
        machine = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
        Path(target).write_text(json.dumps({"machine": machine, "results": results}, indent=1))
    return int(late)


def _other(judged: float, value: float) -> str:
    return "" if judged == value else f"{judged:.3f}"


if __name__ == "__main__":
    # Spawned helper processes import this file again and must not run it.
    sys.exit(main())
