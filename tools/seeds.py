"""Print `docs/seeds.md`: what the three documents describe, and where each of it is shown.

Usage: `python tools/seeds.py > docs/seeds.md`.
"""

import sys

from holdfast.reproductions import studies
from holdfast.reproductions.items import items, markdown

if __name__ == "__main__":
    sys.stdout.write(markdown(items(studies())))
