"""A real process of the program that says what it imported and which functions it ran."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Set

from support import ENVIRONMENT, Site, load_capture

#: Runs a command line as the console script does, and writes down what it saw before it ends.
_PROGRAM = """\
import sys
before = set(sys.modules)
import os, threading
out, really_exit, ran = sys.argv.pop(1), os._exit, {}

def look(frame, what, _):
    if what == "call" and "brtel_notify" in frame.f_code.co_filename:
        module = frame.f_globals["__name__"].partition(".")[2]
        name = f"{module}:{frame.f_code.co_name}"
        ran[name] = ran.get(name, 0) + 1

def end(code):
    sys.setprofile(None)
    import json
    with open(out, "w") as file:
        json.dump({"imported": sorted(set(sys.modules) - before), "ran": ran}, file)
    really_exit(code)

os._exit = end
threading.setprofile(look)
sys.setprofile(look)
from brtel_notify.cli import entry
entry()
"""


class Observed(NamedTuple):
    """What a process said, the modules it imported, and how often it ran which function.

    A function is named ``room.module:name``; those of one name in a module are counted together.
    """

    said: str
    imported: Set[str]
    ran: Dict[str, int]


def observe(site: Site, capture: str, *variables: str, folder: Optional[Path] = None) -> Observed:
    """Play a CAPTURE, with some VARIABLES changed, as Site.notify does, and look on."""
    data: Dict[str, Any] = load_capture(capture)
    out = (folder or site.folder) / "observed.json"
    options: List[str] = [word for variable in variables for word in ("--var", variable)]
    done = subprocess.run(
        [
            *(sys.executable, "-c", _PROGRAM, str(out)),
            *("--config", str(site.config_file), "--state-dir", str(site.state_dir)),
            *(data["source"], *options, *data.get("argv", [])),
        ],
        env={**ENVIRONMENT, **data.get("env", {})},
        input=json.dumps(data["stdin"]) if "stdin" in data else "",
        capture_output=True,
        check=True,
        text=True,
    )
    seen = json.loads(out.read_text())
    return Observed(done.stdout.strip(), set(seen["imported"]), seen["ran"])
