"""The tray icon: the light's shape and colour, and a menu. A desktop without a tray is survived, and said."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from greffier_desk.keeper import Keeper
from greffier_desk.state import LOOKS, Light, Shape
from greffier_desk.words import View, Words

SIZE = 64
PATIENCE_S = 3.0


class TrayError(Exception):
    """Why there is no tray icon."""


def draw(light: Light) -> Any:
    """The icon of a light, as a Pillow image."""
    from PIL import Image, ImageDraw  # noqa: PLC0415 - not needed on servers

    look = LOOKS[light]
    image = Image.new("RGB", (SIZE, SIZE), look.ground)
    pen = ImageDraw.Draw(image)
    a, b, m = 12, SIZE - 12, SIZE // 2
    match look.shape:
        case Shape.DISC:
            pen.ellipse((a, a, b, b), fill=look.ink)
        case Shape.RING:
            pen.ellipse((a, a, b, b), outline=look.ink, width=7)
        case Shape.BARS:
            pen.rectangle((a, a, m - 5, b), fill=look.ink)
            pen.rectangle((m + 5, a, b, b), fill=look.ink)
        case Shape.TRIANGLE:
            pen.polygon([(m, a - 4), (b + 4, b), (a - 4, b)], fill=look.ink)
            pen.line((m, 28, m, 40), fill=look.ground, width=6)
            pen.line((m, 44, m, 49), fill=look.ground, width=6)
        case Shape.CROSS:
            pen.line((a, a, b, b), fill=look.ink, width=9)
            pen.line((a, b, b, a), fill=look.ink, width=9)
        case Shape.DASH:
            pen.line((a, m, b, m), fill=look.ink, width=8)
    return image


class _Said(logging.Handler):
    """pystray logs, at each change, that there is nowhere to put the icon: said once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say, self._is_said = say, False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._is_said:
            self._say(f"tray: {record.getMessage()}: is there a notification area on this desktop?")
        self._is_said = True


class Tray:
    """The icon; `run` needs the main thread (macOS)."""

    def __init__(
        self,
        words: Words,
        press: Callable[[], None],
        seen: Callable[[], None],
        stop: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        try:
            import pystray  # noqa: PLC0415 - it connects to the display when it is imported
        except Exception as error:
            raise TrayError(f"no tray icon on this desktop: {str(error).splitlines()[0]}") from None
        entry = pystray.MenuItem
        menu = pystray.Menu(
            entry(words.press, lambda icon, item: press(), default=True),
            entry(words.seen, lambda icon, item: seen()),
            entry(words.quit, lambda icon, item: stop()),
        )
        self._icons = {light: draw(light) for light in Light}
        self._icon = pystray.Icon("greffier-desk", self._icons[Light.OFFLINE], "Greffier", menu)
        self._shown: tuple[Light, str] | None = None
        self._is_up = False
        logger = logging.getLogger("pystray")
        logger.propagate, logger.handlers = False, [_Said(say)]
        self._keeper = Keeper(self._tell, "tray")
        self.show = self._keeper.show

    def _tell(self, view: View) -> None:
        wanted = (view.light, f"Greffier: {view.title}")
        if self._is_up and wanted != self._shown:
            self._shown = wanted
            self._icon.icon = self._icons[view.light]
            self._icon.title = wanted[1]

    def run(self) -> None:
        """Until `stop`."""

        def up(icon: Any) -> None:
            icon.visible = True
            self._is_up = True

        self._icon.run(up)

    def stop(self) -> None:
        """Take it away; a desktop that does not answer any more is not waited for."""
        self._keeper.stop()
        stopping = threading.Thread(target=self._icon.stop, daemon=True)
        stopping.start()
        stopping.join(PATIENCE_S)
