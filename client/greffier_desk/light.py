"""The light: a small window above all others, drawn by a process of its own from what it is told line by line.

Standard library only (tkinter), and apart from the rest: on macOS a window and a tray icon both want the main thread,
and a Python that has no tkinter may have another draw it (`light.python`). The window trusts nobody for long: when
no line has come for a while it says so instead of what was last shown.

Told, one JSON object a line: `title`, `detail`, `button`, `ground`, `ink`, `shape`, `width`, `place`, `silent`.
Tells, one word a line: `press`, `seen`, `place X Y`.
"""

import json
import queue
import sys
import threading
import tkinter as tk
from collections.abc import Callable
from typing import Any

from greffier_desk.clock import now

SILENCE_S = 4.0
POLL_MS = 40
DRAG_PIXELS = 4


def shape(canvas: tk.Canvas, name: str, size: int, ink: str) -> None:
    """Draw a shape of `Shape` into a square."""
    a, b, m = size * 0.18, size * 0.82, size / 2
    thick = max(3, size // 8)
    canvas.delete("all")
    if name == "disc":
        canvas.create_oval(a, a, b, b, fill=ink, outline=ink)
    elif name == "ring":
        canvas.create_oval(a, a, b, b, outline=ink, width=thick)
    elif name == "bars":
        canvas.create_rectangle(a, a, m - thick / 2, b, fill=ink, outline=ink)
        canvas.create_rectangle(m + thick / 2, a, b, b, fill=ink, outline=ink)
    elif name == "triangle":
        canvas.create_polygon(m, a, b, b, a, b, fill="", outline=ink, width=thick)
        canvas.create_line(m, size * 0.42, m, size * 0.6, fill=ink, width=thick)
        canvas.create_line(m, size * 0.67, m, size * 0.74, fill=ink, width=thick)
    elif name == "cross":
        canvas.create_line(a, a, b, b, fill=ink, width=thick)
        canvas.create_line(a, b, b, a, fill=ink, width=thick)
    else:
        canvas.create_line(a, m, b, m, fill=ink, width=thick)


class Window:
    """The window. `tell` is called with each word that goes back."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._root = tk.Tk()
        self._root.title("Greffier")
        self._root.overrideredirect(True)
        self._root.attributes("-topmost", True)
        self._root.withdraw()
        self._size = 44
        self._frame = tk.Frame(self._root, padx=8, pady=6)
        self._canvas = tk.Canvas(self._frame, width=self._size, height=self._size, highlightthickness=0)
        self._title = tk.Label(self._frame, anchor="w", font=("TkDefaultFont", 13, "bold"))
        self._detail = tk.Label(self._frame, anchor="w", justify="left", font=("TkDefaultFont", 9))
        self._button = tk.Button(self._frame, command=lambda: self._tell("seen"), takefocus=False)
        self._frame.pack(fill="both", expand=True)
        self._canvas.grid(row=0, column=0, rowspan=2, padx=(0, 8))
        self._title.grid(row=0, column=1, sticky="w")
        self._detail.grid(row=1, column=1, sticky="w")
        self._grabbed: tuple[int, int] | None = None
        self._is_dragged = False
        for widget in (self._frame, self._canvas, self._title, self._detail):
            widget.bind("<ButtonPress-1>", self._down)
            widget.bind("<B1-Motion>", self._move)
            widget.bind("<ButtonRelease-1>", self._up)
        self._told: dict[str, Any] = {}
        self._silent = {"title": "OFFLINE", "detail": "", "ground": "#4D4D4D", "ink": "#FFFFFF", "shape": "cross"}
        self._told_at = now()

    def show(self, told: dict[str, Any]) -> None:
        """Show what was told."""
        self._told_at = now()
        if told == self._told:
            return
        if not self._told:
            self._place(told)
        self._told = told
        self._silent = told.get("silent") or self._silent
        self._draw(told)

    def _place(self, told: dict[str, Any]) -> None:
        width, place = int(told.get("width", 230)), told.get("place")
        across, down = self._root.winfo_screenwidth(), self._root.winfo_screenheight()
        x, y = place if place else (across - width - 40, 40)
        x, y = max(0, min(int(x), across - width)), max(0, min(int(y), down - 80))  # the screen may have shrunk
        self._detail.config(wraplength=width - self._size - 30)
        self._frame.columnconfigure(1, minsize=width - self._size - 24)
        self._root.geometry(f"+{x}+{y}")
        self._root.deiconify()

    def _draw(self, told: dict[str, Any]) -> None:
        ground, ink = str(told["ground"]), str(told["ink"])
        self._root.title(f"Greffier: {told['title']}")
        for widget in (self._root, self._frame, self._canvas):
            widget.configure(bg=ground)
        self._title.config(text=told["title"], bg=ground, fg=ink)
        self._detail.config(text=told.get("detail", ""), bg=ground, fg=ink)
        shape(self._canvas, str(told["shape"]), self._size, ink)
        if told.get("button"):
            self._button.config(text=told["button"])
            self._button.grid(row=2, column=1, sticky="e")
        else:
            self._button.grid_remove()
        self._root.attributes("-topmost", True)
        self._root.lift()

    def _down(self, event: "tk.Event[Any]") -> None:
        self._grabbed = (event.x_root - self._root.winfo_x(), event.y_root - self._root.winfo_y())
        self._is_dragged = False

    def _move(self, event: "tk.Event[Any]") -> None:
        if self._grabbed is None:
            return
        x, y = event.x_root - self._grabbed[0], event.y_root - self._grabbed[1]
        if abs(x - self._root.winfo_x()) + abs(y - self._root.winfo_y()) > DRAG_PIXELS or self._is_dragged:
            self._is_dragged = True
            self._root.geometry(f"+{x}+{y}")

    def _up(self, _event: "tk.Event[Any]") -> None:
        self._grabbed = None
        if self._is_dragged:
            self._tell(f"place {self._root.winfo_x()} {self._root.winfo_y()}")
        else:
            self._tell("press")

    def run(self, lines: "queue.SimpleQueue[str | None]") -> None:
        """Until the lines end."""

        def poll() -> None:
            while True:
                try:
                    line = lines.get_nowait()
                except queue.Empty:
                    break
                if line is None:
                    self._root.destroy()
                    return
                self.show(json.loads(line))
            if self._told and now() - self._told_at > SILENCE_S:
                self._told = {**self._told, **self._silent, "button": ""}
                self._draw(self._told)
                self._told_at = now()
            self._root.after(POLL_MS, poll)

        poll()
        self._root.mainloop()


def main() -> None:
    """Show what standard input tells."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        lines.put(None)

    window = Window(lambda word: print(word, flush=True))
    threading.Thread(target=read, daemon=True).start()
    window.run(lines)


if __name__ == "__main__":
    main()
