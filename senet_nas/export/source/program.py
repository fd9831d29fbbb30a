"""What the formats that write Python files share: their first lines, and running them."""

from __future__ import annotations

import secrets
import sys
import textwrap
import types
from pathlib import Path
from typing import TYPE_CHECKING

from senet_nas.export.preprocessing import Preprocessing
from senet_nas.export.source.text import safe_docstring

if TYPE_CHECKING:
    from senet_nas.training import Checkpoint

MARK = "# senet-nas export --format {}"
SHOWN = 10  # class names in a docstring


def about(checkpoint: Checkpoint, stem: str, usage: str) -> str:
    """A docstring: what the network is, how it was trained, what it takes, and what it tells."""
    inputs = Preprocessing.of(checkpoint)
    params = sum(p.numel() for p in checkpoint.network().parameters())
    known = [(k, v) for k, v in checkpoint.metadata.items() if isinstance(v, str | int | float)]
    facts = "; ".join(
        f"{key}: {value:.6g}" if isinstance(value, float) else f"{key}: {value}"
        for key, value in known
    )
    names = ", ".join(inputs.classes[:SHOWN])
    more = f" and {len(inputs.classes) - SHOWN} more" if len(inputs.classes) > SHOWN else ""
    size = inputs.image_size
    paragraphs = [
        f"{stem}: an image classifier of {params:,} parameters, exported by senet-nas.",
        f"It was trained so: {facts}." if facts else "",
        f"Images: (N, 3, {size}, {size}), float32, red, green, blue: the shorter side resized to "
        f"{int(size / inputs.crop_pct)} pixels ({inputs.interpolation}), the centre cropped, each "
        "channel from 0 to 1, less its mean, over its deviation. "
        f"Logits: (N, {len(inputs.classes)}), for {names}{more}.",
    ]
    wrapped = ["\n".join(textwrap.wrap(one, 96)) for one in paragraphs if one]
    text = "\n\n".join([*wrapped, usage])
    return f'"""{safe_docstring(text)}\n"""'


def written_by(path: Path, format_name: str) -> bool:
    """Whether a file's first line says that this format wrote it."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline(200).rstrip("\n") == MARK.format(format_name)
    except (OSError, UnicodeDecodeError):
        return False


def run_file(path: Path) -> types.ModuleType:
    """The module that a file makes, under a name of its own in `sys.modules`. Nothing is written
    beside the file."""
    module = types.ModuleType(f"_exported_{secrets.token_hex(4)}_{path.stem}")
    module.__file__ = str(path.absolute())
    code = compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module
