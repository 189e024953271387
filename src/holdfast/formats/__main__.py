"""`python -m holdfast.formats FOLDER`: write the JSON schemas of this version to FOLDER."""

import sys
from pathlib import Path

from holdfast.formats.shipped import write_schemas

if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
    sys.exit("usage: python -m holdfast.formats FOLDER")
write_schemas(Path(sys.argv[1]))
