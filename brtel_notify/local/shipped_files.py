"""Where the files are that come with the program: templates and drop-ins."""

from __future__ import annotations

import os


def folder(name: str) -> str:
    """The folder NAME: ``templates``, or that of a drop-in.

    Installed from a wheel it lies inside the package; in a checkout, and installed editable, beside
    it. Raises FileNotFoundError when the installation is incomplete.
    """
    package = os.path.abspath(__file__).rsplit(os.sep, 2)[0]
    for parent in (package, os.path.dirname(package)):
        path = os.path.join(parent, name)
        if os.path.isdir(path):
            return path
    raise FileNotFoundError(f"{os.path.join(package, name)} is missing: install brtel-notify again")
