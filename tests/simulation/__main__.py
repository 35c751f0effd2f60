"""Play one plan and show everything: `python -m simulation 'success seed=3 writes=4:crash-after'`."""

from __future__ import annotations

import sys

from simulation.plans import parse_plan
from simulation.playing import play


def main() -> int:
    """0 when every promise held."""
    played = play(parse_plan(" ".join(sys.argv[1:])))
    lines = (*played.trace, f"Over at {played.ended_at:.1f} s", *played.violations)
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if played.violations else 0


if __name__ == "__main__":
    sys.exit(main())
