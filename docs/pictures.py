"""Pictures of a real report for the README: chromium opens the page and photographs its top.

    python docs/pictures.py accord-quickstart/report.html

Writes docs/report.png (as wide as a README is shown) anew. Needs Debian's chromium.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

WIDTH, HEIGHT = 1200, 1150
HERE = Path(__file__).parent


def photograph(page: Path, picture: Path, *, width: int = WIDTH, height: int = HEIGHT) -> None:
    """The top of `page` as a PNG of so many pixels. Raises SystemExit without chromium."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                f"--screenshot={picture.absolute()}",
                page.absolute().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    photograph(parser.parse_args().page, HERE / "report.png")
