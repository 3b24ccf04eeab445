"""The report in a browser: drawn, sorted, dark, narrow, printed, and silent on the network."""

from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from playwright.sync_api import Browser, Page

from tests.browser.chromium import Opened
from tests.browser.conftest import Open, opening
from tests.commands import Folder
from tests.unit.search.report.made import Made

pytestmark = pytest.mark.browser
optuna.logging.set_verbosity(optuna.logging.ERROR)

MOST_BYTES = 8_000_000
HOSTILE = (
    "</script><script>window.taken = 1</script><img src=https://evil.invalid/x onerror=taken=2>"
)


def write(folder: Path, count: int) -> Path:
    """The report of a study with everything that a study can have."""
    with Made(folder, in_memory=True) as made:
        made.fill(count - 1)
        made.add(reference=HOSTILE, top=0.4)
        made.keep_references()
        made.keep_confirmation(1, 2)
        return made.write_report(folder / "report.html")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("full"), 40)


@pytest.fixture(scope="module")
def shown(browser: Browser, full: Path) -> Iterator[Opened]:
    """One page for all who only look at it: to draw it takes seconds."""
    with opening(browser) as opened:
        yield opened(full)


@pytest.fixture
def look(shown: Opened) -> Callable[..., Page]:
    """The page at a width, light or dark."""

    def looked(*, width: int = 1280, dark: bool = False) -> Page:
        resize(shown.page, width)
        shown.page.emulate_media(media="screen", color_scheme="dark" if dark else "light")
        shown.page.evaluate(NEXT_FRAME)
        return shown.page

    return looked


NEXT_FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""In a frame the page hears of a change, and draws all of it anew."""


def resize(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(NEXT_FRAME)


def report_of(folder: Path, *states: TrialState) -> Path:
    """The report of a few trials that ended like this."""
    with Made(folder, in_memory=True) as made:
        for state in states:
            made.add(state=state, reason="train_loss is not finite")
        return made.write_report(folder / "report.html")


def column(page: Page, number: int) -> list[str]:
    """The cells of a column of the leaderboard, from 1."""
    return page.locator(f"#trials tbody td:nth-child({number})").all_text_contents()


def header(page: Page, name: str) -> int:
    """The number of a column of the leaderboard, from 1."""
    return page.locator("#trials thead th").all_text_contents().index(name) + 1


def overflows(page: Page) -> bool:
    found: bool = page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    return found


def test_500_trials_are_drawn_and_nothing_is_fetched(tmp_path: Path, open_page: Open) -> None:
    path = write(tmp_path, 500)
    assert path.stat().st_size < MOST_BYTES
    opened = open_page(path)
    page = opened.page
    pictures = page.locator(".plot[role=img]")
    assert pictures.count() == 13
    assert page.locator(".plot.js-plotly-plot svg.main-svg").count() >= pictures.count()
    assert page.locator("figure").count() == page.locator("figcaption").count() == 13
    assert page.evaluate("document.querySelectorAll('body *:not(.plot *)').length") < 1500
    assert page.evaluate("window.taken") is None
    opened.check()


def test_headers_sort_by_mouse_and_keyboard_and_all_trials_are_shown_when_asked_for(
    look: Callable[..., Page],
) -> None:
    page = look()
    rows = page.locator("#trials tbody tr")
    assert rows.count() == 20
    number = header(page, "learning rate")
    button = page.locator(f"#trials thead th:nth-child({number}) button")
    found = []
    for key, order in (
        ("", "ascending"),
        ("", "descending"),
        ("Enter", "ascending"),
        ("Space", "descending"),
    ):
        page.keyboard.press(key) if key else button.click()
        found.append([float(text) for text in column(page, number)])
        assert found[-1] == sorted(found[-1], reverse=order == "descending")
        assert page.locator("#trials [aria-sort]").get_attribute("aria-sort") == order
    assert found[1][0] > found[0][-1]
    page.locator("#all").click()
    assert rows.count() > 30
    assert page.locator("#all").get_attribute("aria-expanded") == "true"
    page.locator("#all").click()
    assert rows.count() == 20


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_overflows_or_is_covered_and_text_has_enough_contrast(
    width: int, dark: bool, shown: Opened, look: Callable[..., Page]
) -> None:
    """WCAG's ratio, on both backgrounds: 4.5 for every color of text, 3 for those of points."""
    page = look(width=width, dark=dark)
    assert not overflows(page)
    worst = page.evaluate(CONTRAST, TEXT)
    assert worst["ratio"] >= 4.5, worst
    points = page.evaluate(CONTRAST, [f"--depth-{number}" for number in range(1, 9)])
    assert points["ratio"] >= 3.0, points
    # On a narrow screen there is no tool bar; on a wide one it is above all that is drawn.
    assert page.evaluate(COVERED) == []
    assert (page.locator(".plot .modebar-group").count() > 0) == (width > 640)
    shown.check()


def test_pictures_follow_the_theme_while_the_page_is_open(look: Callable[..., Page]) -> None:
    page = look(width=390)
    ink = "getComputedStyle(document.querySelector('#plot-history .xtitle')).fill"
    back = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ink), page.evaluate(back)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{ink} !== {light[0]!r}")
    assert page.evaluate(back) != light[1]


TEXT = ["--ink", "--soft", "--muted", "--accent", "--warn", "--good", "--fail"]
CONTRAST = """(names) => {
  const style = getComputedStyle(document.documentElement);
  const luminance = (name) => {
    const hex = style.getPropertyValue(name).trim().slice(1);
    const parts = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  let worst = { ratio: 99 };
  for (const back of ["--page", "--card"]) {
    for (const text of names) {
      const [low, high] = [luminance(back), luminance(text)].sort((one, other) => one - other);
      const ratio = (high + 0.05) / (low + 0.05);
      if (ratio < worst.ratio) worst = { ratio, back, text };
    }
  }
  return worst;
}"""


COVERED = """() => [...document.querySelectorAll('.plot')].flatMap((plot) => {
  const bar = plot.querySelector('.modebar:has(.modebar-group)')?.getBoundingClientRect();
  const drawn = plot.querySelector('svg.main-svg').getBoundingClientRect();
  return bar && bar.bottom > drawn.top + 2 ? [plot.id] : [];
})"""


def test_without_webgl_the_parameters_are_drawn_as_plain_lines(full: Path, open_page: Open) -> None:
    opened = open_page(full, script="HTMLCanvasElement.prototype.getContext = () => null;")
    assert opened.page.locator("#plot-parallel .scatterlayer .trace").count() == 2
    assert opened.page.locator("#plot-parallel .parcoords").count() == 0
    opened.check()


def test_a_narrow_page_has_plain_lines_and_a_wide_one_parallel_axes(
    look: Callable[..., Page],
) -> None:
    page = look()
    axes, lines = "#plot-parallel .parcoords", "#plot-parallel .scatterlayer .trace"
    assert page.locator(axes).count() > 0
    look(width=390)
    assert page.locator(lines).count() == 2
    assert page.locator(axes).count() == 0
    names = page.locator("#plot-parallel .xtick text").all_text_contents()
    assert (names[0], names[-1]) == ("depth", "accuracy")
    assert not overflows(page)


def test_a_phone_shows_the_value_and_keeps_the_trial_in_sight(look: Callable[..., Page]) -> None:
    page = look(width=390)
    edge = page.evaluate("document.querySelector('.scroller').getBoundingClientRect().right")
    place = "document.querySelector('#trials tbody td:nth-child({})').getBoundingClientRect()"
    value = page.evaluate(place.format(header(page, "value")) + ".right")
    assert value < edge
    page.evaluate("document.querySelector('#leaderboard .scroller').scrollLeft = 400")
    trial = page.evaluate(place.format(header(page, "trial")) + ".left")
    assert 0 <= trial < 60


@pytest.fixture(scope="module")
def two(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of two trials on a phone."""
    folder = tmp_path_factory.mktemp("two")
    report = report_of(folder, TrialState.COMPLETE, TrialState.COMPLETE)
    with opening(browser) as opened:
        yield opened(report, width=390, touch=True).page


def test_every_tick_of_a_whole_number_is_whole_and_no_accuracy_is_out_of_bounds(two: Page) -> None:
    for plot in ("history", "curves", "slice-depth"):
        ticks = two.locator(f"#plot-{plot} .xtick text").all_text_contents()
        assert ticks
        assert all(float(tick) == int(float(tick)) for tick in ticks), plot
    ends = two.evaluate(
        "['history', 'curves', 'slice-depth', 'size'].flatMap("
        "(name) => document.getElementById('plot-' + name)._fullLayout.yaxis.range)"
    )
    assert min(ends) >= 0
    assert max(ends) <= 1


def test_a_finger_on_a_picture_moves_the_page(two: Page) -> None:
    two.add_style_tag(content="html { scroll-behavior: auto !important }")
    picture = two.locator("#plot-history")
    picture.evaluate("(each) => each.scrollIntoView({ block: 'center' })")
    before = two.evaluate("scrollY")
    place = picture.bounding_box()
    assert place is not None
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    finger = two.context.new_cdp_session(two)
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        *(("touchMove", [{"x": x, "y": y - 20 * step}]) for step in range(1, 11)),
        ("touchEnd", []),
    ):
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    two.wait_for_function(f"scrollY > {before + 100}")


def test_paper_is_light_and_holds_everything(shown: Opened, look: Callable[..., Page]) -> None:
    page = look(dark=True)
    page.emulate_media(media="print")
    page.wait_for_function("document.querySelectorAll('#trials tbody tr').length > 30")
    assert page.locator("details:not([open])").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    widths = page.evaluate(
        "[...document.querySelectorAll('.plot svg.main-svg')].map((each) => each.clientWidth)"
    )
    assert max(widths) <= 660
    page.emulate_media(media="screen")
    page.wait_for_function("document.querySelectorAll('#trials tbody tr').length === 20")
    assert page.pdf()[:5] == b"%PDF-"
    shown.check()


@pytest.mark.parametrize(
    "states",
    [
        (),
        (TrialState.COMPLETE,),
        (TrialState.PRUNED,),
        (TrialState.FAIL, TrialState.FAIL),
    ],
    ids=["empty", "one trial", "one pruned", "failures alone"],
)
def test_small_studies_open_without_a_complaint(
    states: tuple[TrialState, ...], tmp_path: Path, open_page: Open
) -> None:
    opened = open_page(report_of(tmp_path, *states), width=390)
    assert opened.page.locator(".nothing").count() >= 3
    assert not overflows(opened.page)
    opened.check()


@pytest.mark.data
def test_a_real_study_is_shown_as_commands_left_it_and_its_first_link_skips_to_the_content(
    confirmed: Folder, open_page: Open
) -> None:
    opened = open_page(confirmed.path / "studies" / "tiny" / "report.html")
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.locator("#trials tbody tr").count() == len(confirmed.trials)
    best = max(trial.value or 0.0 for trial in confirmed.trials if trial.state == "complete")
    assert f"{best:.4f}" in page.inner_text("main")
    for width in (1280, 390):
        resize(page, width)
        assert page.locator("#plot-confirmation svg.main-svg").count() > 0
        assert not overflows(page)
    opened.check()
