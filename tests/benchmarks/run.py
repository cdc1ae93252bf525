"""Runs every benchmark, prints its figures beside their limits, and writes JSON into the file named by BENCH_JSON.

Wherever the machine's speed would decide, figures are ratios against a baseline measured in the same run. A figure over
its limit makes the exit status 1.
"""

import importlib
import json
import os
import platform
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    sys.path.insert(0, str(HERE))
    wanted = sys.argv[1:] or sorted(path.stem for path in HERE.glob("bench_*.py"))
    results: dict[str, dict[str, object]] = {}
    late = False
    for name in wanted:
        module = importlib.import_module(name)
        limits = getattr(module, "LIMITS", {})
        print(f"\n{name}", flush=True)
        figures = module.figures()
        for figure, value in figures.items():
            limit = limits.get(figure)
            over = limit is not None and value > limit
            late |= over
            note = "" if limit is None else f"   limit {limit:g}{'   OVER' if over else ''}"
            print(f"  {figure:<52} {value:>12.3f}{note}", flush=True)
        results[name] = {"figures": figures, "limits": limits}
    if target := os.environ.get("BENCH_JSON"):
        machine = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
        Path(target).write_text(json.dumps({"machine": machine, "results": results}, indent=1))
    return int(late)


if __name__ == "__main__":
    # Spawned helper processes import this file again and must not run it.
    sys.exit(main())
