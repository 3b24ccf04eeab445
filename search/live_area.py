"""The last lines of a terminal, drawn again and again in place."""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment

REFRESHES_PER_SECOND = 8


class LiveArea(Live):
    """Rich's live display, for terminals whose window is resized while it runs.

    A terminal that becomes narrower breaks the lines that are on it, and Rich, which counts the
    lines that it drew, would leave the first of them standing. This one knows how long they are.

    Args:
        console: a terminal.
        content: asked for what to draw, each time.
    """

    def __init__(self, console: Console, content: "Content") -> None:
        self._content = content
        self._drawn_width = console.width
        super().__init__(
            get_renderable=lambda: content,
            console=console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Takes the lines for as many as they have become, before they are drawn over."""
        with self._lock:
            width = self.console.width
            if width < self._drawn_width and self._live_render._shape is not None:
                rows = rows_of(self._content.lengths, width)
                self._live_render._shape = (width, rows)
            self._drawn_width = width
            return super().process_renderables(renderables)


class Content:
    """Something that can be drawn, and remembers how long its lines were.

    Spaces at their ends are not drawn, since a terminal may count them or not when it breaks lines.
    """

    def __init__(self) -> None:
        self.shown: RenderableType = ""
        self.lengths: Sequence[int] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [_stripped(line) for line in console.render_lines(self.shown, options, pad=False)]
        lines = lines[: max(options.size.height - 1, 1)]
        self.lengths = [Segment.get_line_length(line) for line in lines]
        for number, line in enumerate(lines):
            if number:
                yield Segment.line()
            yield from line


def rows_of(lengths: Sequence[int], width: int) -> int:
    """How many rows lines take in a terminal that is so many columns wide."""
    return sum(max(-(-length // width), 1) for length in lengths)


def _stripped(line: list[Segment]) -> list[Segment]:
    """The line without spaces at its end."""
    kept = list(line)
    while kept and not kept[-1].text.strip() and not kept[-1].control:
        kept.pop()
    if kept:
        kept[-1] = Segment(kept[-1].text.rstrip(" "), kept[-1].style, kept[-1].control)
    return kept
