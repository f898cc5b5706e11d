"""Files kept between runs, each under a name of all that its content follows from: what is found is what would be made anew."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path


def cache_folder() -> Path | None:
    """TRIALRUN_CACHE, else trialrun in the user's cache folder; None where it cannot be written."""
    named = os.environ.get("TRIALRUN_CACHE")
    try:
        folder = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trialrun"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        return None


def name_content(*parts: bytes) -> str:
    """A name for what follows from these parts, in this order."""
    digest = blake2b(digest_size=12)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def write_whole(file: Path, content: bytes) -> None:
    """The file whole or not at all: two processes may come at once."""
    with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".part", delete=False) as part:
        try:
            part.write(content)
            part.close()
            Path(part.name).replace(file)
        except OSError:
            Path(part.name).unlink(missing_ok=True)
            raise


def keep_newest(folder: Path, pattern: str, most: int) -> None:
    """Remove the oldest of the files that match, so that no more than `most` stay."""
    with suppress(OSError):  # another process may remove the same ones
        files = sorted(folder.glob(pattern), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[most:]:
            file.unlink(missing_ok=True)
