"""`python -m pi_speedup`, and `python src/pi_speedup` where nothing put src/ on Python's path."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Started by its folder, which is then Python's first path: our modules would be found without our name.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from pi_speedup.start import not_installed

if __name__ == "__main__":
    if line := not_installed():
        print(line, file=sys.stderr)
        sys.exit(2)
    from pi_speedup.cli.parser import main

    sys.exit(main())
