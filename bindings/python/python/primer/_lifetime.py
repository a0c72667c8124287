"""The open members of this process, so that a clean exit closes them.

A thread that waits inside native code while the interpreter is torn down would be killed there. So
at exit every member is closed, which answers every wait with 501, and then the last waiting thread
is seen out. Ordinary (non-daemon) threads keep the process alive before that, as always in Python.
"""

from __future__ import annotations

import atexit
import contextlib
import weakref

from . import _primer
from ._errors import PrimerError

_open: weakref.WeakSet[_primer.Primer] = weakref.WeakSet()


def watch(native: _primer.Primer) -> None:
    """Closes this member at exit, if it still exists."""
    _open.add(native)


@atexit.register
def _close_all() -> None:
    for native in list(_open):
        if not native.is_forked():
            with contextlib.suppress(PrimerError):
                native.close()
    _primer.join_waits()
