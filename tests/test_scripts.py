"""The scripts that README and docs take their figures from."""

import re
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"


def test_each_is_named_in_their_readme_and_no_other():
    named = re.findall(r"`(\w+\.(?:py|sh))`", (SCRIPTS / "README.md").read_text("utf-8"))
    there = [path.name for path in SCRIPTS.iterdir() if path.suffix in (".py", ".sh")]
    assert sorted(named) == sorted(there)
