"""Run every benchmark, one after the other: `make bench`, or `python -m benchmarks rules grading` for some.

Each prints its figures as ratios against a peer measured in the same run; none of them is a test.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    """Run the named benchmarks (all without a name); the exit code is 1 if one of them failed."""
    scripts = {path.stem: path for path in sorted(HERE.glob("*.py")) if path.stem not in ("__main__", "__init__")}
    unknown = [name for name in names if name not in scripts]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(scripts)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or scripts:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, str(scripts[name])], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
