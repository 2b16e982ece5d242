"""A tab that is open for long: what goes leaves it, whatever hand was left lying there."""

from __future__ import annotations

from browser.conftest import World
from browser.test_lives import look_at
from lazarus_pit.cells.provision import destroy_cell


def test_a_cell_that_goes_while_it_is_looked_at_is_gone(yard: World) -> None:
    cell = yard.pit.cell(name="brief")
    page = yard.page("operator")
    look_at(page, cell)
    page.js("document.querySelector('.viewhead button').focus()")
    destroy_cell(cell, force=True)
    page.wait("document.querySelector('#detail').innerText.startsWith('There is no such cell.')")
    assert page.js("document.activeElement.innerText") == "All cells", "focus stays near"
    assert page.js("document.querySelector('#detail .buttons')") is None
    # It may have been asked for once more while it went: that is a 404, and no fault.
    assert not [one for one in page.complaints() if cell.uuid not in one]


def test_a_mouse_that_was_left_lying_there_holds_nothing_for_ever(yard: World) -> None:
    cell = yard.pit.cell(name="wave")
    page = yard.page("operator")
    page.size(1280, 900)
    page.wait(f"document.querySelector('.card a[href*=\"{cell.uuid}\"]')", "its card")
    box = page.js(
        "(({x, y}) => [x + 20, y + 20])(document.querySelector('.card').getBoundingClientRect())"
    )
    page.hover(*box)
    page.wait("document.querySelector('#cells-list').matches(':hover')", "the hand on the cells")
    destroy_cell(cell, force=True)
    page.wait("document.querySelector('.card.gone')", "that it is gone, and stays under the hand")
    page.js("const was = performance.now.bind(performance); performance.now = () => was() + 61e3")
    yard.pit.cell(name="tide")  # Something happens.
    page.wait("!document.querySelector('.card.gone')", "a tidy page")
