"""`make bench`: each measurement in turn, in a process of its own."""

import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Run them all, and fail if one fails."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    for name in names:
        print(f"\n## bench.{name}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"bench.{name}"], check=True)


if __name__ == "__main__":
    main()
