"""SQL that stands in a file beside its module, where the linter reads it."""

import re
from pathlib import Path
from typing import LiteralString


def statement(module: str, name: str, **parts: LiteralString) -> LiteralString:
    """The file `name` beside the module, as a statement for the driver.

    `{{ name }}` in it is the part of that name, put in as it is, or else a parameter of the driver.

    Args:
        module: its `__file__`.
        parts: SQL of ours that is put in.
    """
    text = Path(module).with_name(name).read_text().replace("%", "%%")
    return re.sub(r"{{ (\w+) }}", lambda found: parts.get(found[1]) or f"%({found[1]})s", text)
