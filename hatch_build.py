"""Building the package makes the compiled core (agent/media/core.c) where there is a C compiler."""

import sys
import sysconfig
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CoreHook(BuildHookInterface):
    """A wheel with the library is of one platform, and of any Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling."""
        sys.path.insert(0, self.root)
        from agent.media.compiling import LIBRARY, try_to_compile  # noqa: PLC0415

        if problem := try_to_compile():
            self.app.display_warning(problem)
            return
        build_data["artifacts"].append(f"agent/media/{LIBRARY.name}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
