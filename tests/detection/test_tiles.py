import time
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from ocr.catalogue import DETECTION, PRESETS
from ocr.detection import tiles
from ocr.document import Quad
from ocr.model import DBModel, DetectionModel, RecognitionModel

_MODEL = PRESETS["ppocr"].detection.model
assert isinstance(_MODEL, DBModel)
MODEL: DBModel = _MODEL


def detection(name: str) -> DetectionModel:
    model = DETECTION[name].model
    assert not isinstance(model, RecognitionModel)
    return model


PADDED = detection("seglink-line")  # the long side fills the field, black fills up the multiples
SHORT = detection("dbnet-resnet18")  # the short side has one length

SIZES = {
    "ordinary": (1240, 1754),
    "photograph": (4032, 3024),
    "small": (400, 300),
    "just below the short side": (800, 730),
    "tiny": (60, 24),
    "one pixel": (1, 1),
    "one row": (500, 1),
    "strip": (463, 16_000),
    "banner": (12_920, 43),
    "hundred megapixels": (10_000, 10_000),
    "square": (3000, 3000),
    "long, hardly tiled": (600, 2001),
}
Boxes = npt.NDArray[np.float32]
size_of_page = pytest.mark.parametrize(("width", "height"), SIZES.values(), ids=SIZES.keys())


def box(left: float, top: float, right: float, bottom: float) -> Quad:
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return np.array(corners, np.float32)


def shown(
    width: int, height: int, plan: tiles.Plan, model: DetectionModel = MODEL
) -> list[tiles.Tile]:
    return tiles.prepare(np.full((height, width, 3), 200, np.uint8), plan, model)


@cache
def first_shown(
    width: int, height: int, model: DetectionModel = MODEL
) -> tuple[tiles.Plan, list[tiles.Tile]]:
    plan = tiles.first_look(width, height, model)
    return plan, shown(width, height, plan, model)


def seen_by(tile: tiles.Tile, plan: tiles.Plan, page: tuple[int, int], quads: list[Quad]) -> Boxes:
    """What a network that finds all text would answer for a tile: the lines, cut at its edges."""
    scale = np.array([plan.width / page[0], plan.height / page[1]], np.float32)
    rows = []
    for quad in quads:
        field = quad * scale
        cut = np.clip(field, tile.box[:2], tile.box[2:])
        if min(np.ptp(cut, axis=0)) > 3:
            local = cut - np.array(tile.box[:2]) + np.array(tile.inset)
            rows.append(np.append(local.ravel(), 0.9))
    return np.array(rows, np.float32).reshape(-1, 9)


def round_trip(width: int, height: int, quads: list[Quad], model: DetectionModel = MODEL) -> Boxes:
    plan, parts = first_shown(width, height, model)
    found = [seen_by(tile, plan, (width, height), quads) for tile in parts]
    return tiles.restore(parts, found, plan, width, height)


@size_of_page
def test_tiles_are_what_the_network_takes_and_bounded(width: int, height: int) -> None:
    _, parts = first_shown(width, height)
    assert 1 <= len(parts) <= tiles.MAX_TILES
    for tile in parts:
        tile_height, tile_width, channels = tile.pixels.shape
        assert channels == 3
        assert tile.pixels.dtype == np.uint8
        assert tile.pixels.flags.c_contiguous
        assert tile_height % MODEL.multiple == 0 < tile_height
        assert tile_width % MODEL.multiple == 0 < tile_width
        assert max(tile_height, tile_width) <= MODEL.long_side
        assert tile_height * tile_width <= 1.05 * tiles.MAX_FIELD


@size_of_page
def test_tiles_cover_the_field(width: int, height: int) -> None:
    plan = tiles.first_look(width, height, MODEL)
    for low, high, length in ((0, 2, plan.width), (1, 3, plan.height)):
        stretches = sorted({(tile[low], tile[high]) for tile in plan.tiles})
        assert stretches[0][0] == 0
        assert stretches[-1][1] == length
        for (_, end), (start, _) in pairwise(stretches):
            assert end - start >= tiles.OVERLAP - 1


@size_of_page
def test_the_page_keeps_its_proportions(width: int, height: int) -> None:
    plan = tiles.first_look(width, height, MODEL)
    assert plan.width == pytest.approx(width * plan.scale, abs=MODEL.multiple / 2 + 1)
    assert plan.height == pytest.approx(height * plan.scale, abs=MODEL.multiple / 2 + 1)


def test_an_ordinary_page_is_one_tile_and_nearly_its_own_size() -> None:
    plan = tiles.first_look(1240, 1754, MODEL)
    assert len(plan.tiles) == 1
    assert plan.scale == 1.0


def test_a_strip_and_a_banner_keep_their_detail() -> None:
    for width, height in (SIZES["strip"], SIZES["banner"]):
        plan = tiles.first_look(width, height, MODEL)
        assert plan.scale >= 1.0
        assert len(plan.tiles) > 5


def test_a_small_picture_is_enlarged_but_not_without_end() -> None:
    assert 1.0 < tiles.first_look(400, 300, MODEL).scale <= tiles.MAX_ENLARGEMENT
    assert tiles.first_look(60, 24, MODEL).scale == tiles.MAX_ENLARGEMENT


def test_a_tiny_picture_gets_a_rim_of_its_own_colour() -> None:
    page = np.full((24, 60, 3), (10, 120, 200), np.uint8)
    (tile,) = tiles.prepare(page, tiles.first_look(60, 24, MODEL), MODEL)
    assert min(tile.inset) >= tiles.RIM
    assert np.array_equal(np.unique(tile.pixels.reshape(-1, 3), axis=0), [[10, 120, 200]])


@pytest.mark.parametrize("name", [name for name in SIZES if not name.startswith("one ")])
def test_restore_puts_a_box_back_to_its_place(name: str) -> None:
    width, height = SIZES[name]
    line = min(0.6 * height, 40.0)
    quad = box(0.3 * width, 0.2 * height, 0.3 * width + min(0.5 * width, 900), 0.2 * height + line)
    (found,) = round_trip(width, height, [quad])
    assert np.abs(found - quad).max() <= 1.0


@pytest.mark.parametrize(("width", "height"), [SIZES["one pixel"], SIZES["one row"]])
def test_restore_of_nothing_and_of_less_than_text(width: int, height: int) -> None:
    assert round_trip(width, height, []).shape == (0, 4, 2)
    assert round_trip(width, height, [box(0, 0, width, height)]).shape == (0, 4, 2)


def test_restore_keeps_boxes_on_the_page() -> None:
    plan = tiles.first_look(800, 800, MODEL)
    row = np.append(box(-9, -9, 900, 60).ravel(), 0.9).astype(np.float32)[np.newaxis]
    (found,) = tiles.restore(shown(800, 800, plan), [row], plan, 800, 800)
    assert found.min() >= 0
    assert found.max() <= 800


def strip_edges() -> list[int]:
    """Where the tiles of the strip begin and end, in pixels of the page."""
    width, height = SIZES["strip"]
    plan = tiles.first_look(width, height, MODEL)
    scale = plan.height / height
    return sorted({round(edge / scale) for tile in plan.tiles for edge in tile[1::2]})[1:-1]


def test_every_line_of_a_strip_comes_out_once_and_whole() -> None:
    width, height = SIZES["strip"]
    lines = [box(30, y, 400, y + 30) for y in range(10, height - 40, 47)]
    found = round_trip(width, height, lines)
    found = found[np.argsort(found[:, 0, 1])]
    assert len(found) == len(lines)
    assert np.abs(found - np.array(lines)).max() <= 1.0


@pytest.mark.parametrize("shift", [-29, -15, -2, 0, 1])
def test_a_line_at_a_tile_edge_comes_out_once_and_whole(shift: int) -> None:
    width, height = SIZES["strip"]
    for edge in strip_edges():
        line = box(30, edge + shift, 400, edge + shift + 30)
        (found,) = round_trip(width, height, [line])
        assert np.abs(found - line).max() <= 1.0


@pytest.mark.parametrize("gap", [-6, 2, 8])
def test_two_lines_at_a_tile_edge_stay_two(gap: int) -> None:
    width, height = SIZES["strip"]
    for edge in strip_edges():
        for shift in range(-40, 45, 10):
            above = box(30, edge + shift - 30, 400, edge + shift)
            below = box(30, edge + shift + gap, 400, edge + shift + gap + 30)
            found = round_trip(width, height, [above, below])
            found = found[np.argsort(found[:, 0, 1])]
            assert len(found) == 2
            assert np.abs(found - [above, below]).max() <= 1.0


def test_a_line_over_many_tiles_of_a_banner_is_one() -> None:
    width, height = SIZES["banner"]
    line = box(40, 6, width - 40, 38)
    (found,) = round_trip(width, height, [line])
    assert np.abs(found - line).max() <= 1.0


def test_four_lines_over_many_tiles_stay_four() -> None:
    lines = [box(40 + top, top, 9000 - top, top + 60) for top in (20, 90, 160, 230)]
    found = round_trip(9040, 310, lines)
    found = found[np.argsort(found[:, 0, 1])]
    assert len(found) == 4
    assert np.abs(found - np.array(lines)).max() <= 1.0


def test_a_dense_strip_is_put_together_in_time() -> None:
    lines = [box(20, top, 440, top + 12) for top in range(10, 15_900, 16)]
    start = time.perf_counter()
    found = round_trip(463, 16_000, lines)
    assert time.perf_counter() - start < 3
    assert len(found) == len(lines)


def test_words_in_one_row_of_a_banner_stay_apart() -> None:
    width, height = SIZES["banner"]
    words = [box(x, 6, x + 170, 38) for x in range(40, width - 200, 190)]
    found = round_trip(width, height, words)
    found = found[np.argsort(found[:, 0, 0])]
    assert len(found) == len(words)
    assert np.abs(found - np.array(words)).max() <= 1.0


def small_text(height: float, plan: tiles.Plan) -> Boxes:
    """Fifty lines that are this high in the network's field, on the page."""
    side = height / plan.scale
    return np.array([box(10, 10 + 3 * side * i, 900, 10 + 3 * side * i + side) for i in range(50)])


def test_small_text_on_a_reduced_page_is_looked_at_closer() -> None:
    width, height = SIZES["photograph"]
    first = tiles.first_look(width, height, MODEL)
    closer = tiles.closer_look(width, height, small_text(8, first), first, MODEL)
    assert closer is not None
    assert closer.scale > 1.2 * first.scale
    assert closer.scale <= 1.0
    for tile in shown(width, height, closer):
        assert tile.pixels.shape[0] % MODEL.multiple == tile.pixels.shape[1] % MODEL.multiple == 0
        assert max(tile.pixels.shape) <= MODEL.long_side


def test_a_closer_look_at_a_huge_page_stays_affordable() -> None:
    width, height = SIZES["hundred megapixels"]
    first = tiles.first_look(width, height, MODEL)
    closer = tiles.closer_look(width, height, small_text(4, first), first, MODEL)
    assert closer is not None
    pixels = sum(tile.pixels.size // 3 for tile in shown(width, height, closer))
    assert pixels <= 1.3 * tiles.MAX_TILES * tiles.TILE_LENGTH**2


def test_large_text_needs_no_closer_look() -> None:
    width, height = SIZES["photograph"]
    first = tiles.first_look(width, height, MODEL)
    assert tiles.closer_look(width, height, small_text(30, first), first, MODEL) is None


def test_an_unreduced_page_needs_no_closer_look() -> None:
    first = tiles.first_look(1240, 1754, MODEL)
    assert tiles.closer_look(1240, 1754, small_text(6, first), first, MODEL) is None


def test_a_much_reduced_page_on_which_nothing_was_found_is_looked_at_closer() -> None:
    width, height = SIZES["hundred megapixels"]
    first = tiles.first_look(width, height, MODEL)
    nothing = np.zeros((0, 4, 2), np.float32)
    assert tiles.closer_look(width, height, nothing, first, MODEL) is not None


# Models that have the long or the short side of a page at one length


@pytest.mark.parametrize("model", [PADDED, SHORT], ids=lambda model: model.name)
@size_of_page
def test_tiles_of_other_models_are_what_their_networks_take(
    width: int, height: int, model: DetectionModel
) -> None:
    plan, parts = first_shown(width, height, model)
    for tile in parts:
        tile_height, tile_width, _ = tile.pixels.shape
        assert tile_height % model.multiple == 0 < tile_height
        assert tile_width % model.multiple == 0 < tile_width
        assert max(tile_height, tile_width) <= model.long_side
        assert tile_height * tile_width <= 1.05 * tiles.MAX_FIELD
        assert tile.pixels.flags.c_contiguous
    assert max(tile[2] for tile in plan.tiles) == plan.width
    assert max(tile[3] for tile in plan.tiles) == plan.height
    error = 1.0 if model.fit == "pad" else model.multiple / 2 + 1
    assert plan.width == pytest.approx(width * plan.scale, abs=error)
    assert plan.height == pytest.approx(height * plan.scale, abs=error)


@pytest.mark.parametrize(
    ("width", "height", "field", "tile"),
    [
        (1000, 700, (1024, 717), (1024, 768)),
        (700, 1000, (717, 1024), (768, 1024)),
        (4032, 3024, (1024, 768), (1024, 768)),
        (10_000, 10_000, (1024, 1024), (1024, 1024)),
        (300, 200, (1024, 683), (1024, 768)),
        (60, 24, (240, 96), (256, 128)),
        (1, 1, (4, 4), (128, 128)),
    ],
)
def test_the_long_side_fills_the_field_of_one_padded_tile(
    width: int, height: int, field: tuple[int, int], tile: tuple[int, int]
) -> None:
    plan, (only,) = first_shown(width, height, PADDED)
    assert (plan.width, plan.height) == field
    assert only.pixels.shape == (tile[1], tile[0], 3)
    assert only.box == (0, 0, *field)
    assert only.inset == (0, 0)


@pytest.mark.parametrize(("width", "height"), [(1000, 700), (500, 3000), (60, 24), (3000, 130)])
def test_padding_is_black_and_to_the_right_and_below_only(width: int, height: int) -> None:
    for tile in first_shown(width, height, PADDED)[1]:
        left, top, right, bottom = tile.box
        assert tile.inset == (0, 0)
        assert (tile.pixels[: bottom - top, : right - left] == 200).all()
        assert not tile.pixels[bottom - top :].any()
        assert not tile.pixels[:, right - left :].any()
        assert max(tile.pixels.shape[0] - bottom + top, tile.pixels.shape[1] - right + left) < 128


@pytest.mark.parametrize("model", [PADDED, SHORT], ids=lambda model: model.name)
@pytest.mark.parametrize("name", [name for name in SIZES if not name.startswith("one ")])
def test_restore_puts_boxes_of_other_models_back_to_their_places(
    name: str, model: DetectionModel
) -> None:
    width, height = SIZES[name]
    long = min(0.5 * width, 900)
    line = min(0.3 * height, max(40.0, 0.01 * height))
    first = box(0.1 * width, 0.1 * height, 0.1 * width + long, 0.1 * height + line)
    last = box(0.98 * width - long, 0.98 * height - line, 0.98 * width, 0.98 * height)
    found = round_trip(width, height, [first, last], model)
    assert len(found) == 2
    found = found[np.argsort(found[:, 0, 1])]
    assert np.abs(found - [first, last]).max() <= 1.0


def test_what_is_seen_where_a_tile_is_padded_is_kept_on_the_page() -> None:
    plan, parts = first_shown(1000, 700, PADDED)
    row = np.append(box(900, 650, 1024, 768).ravel(), 0.9).astype(np.float32)[np.newaxis]
    (found,) = tiles.restore(parts, [row], plan, 1000, 700)
    assert np.abs(found - box(900 / 1.024, 650 / 1.024, 1000, 700)).max() <= 1.0
    beside = np.append(box(100, 720, 900, 760).ravel(), 0.9).astype(np.float32)[np.newaxis]
    assert not len(tiles.restore(parts, [beside], plan, 1000, 700))


@pytest.mark.parametrize("model", [PADDED, SHORT], ids=lambda model: model.name)
@pytest.mark.parametrize(("width", "height"), [(500, 3000), (3000, 500), SIZES["banner"]])
def test_receipts_and_banners_are_tiled_not_squeezed(
    width: int, height: int, model: DetectionModel
) -> None:
    plan, parts = first_shown(width, height, model)
    assert plan.scale >= 1.0
    assert len(parts) >= 3
    long = 0 if width > height else 1
    stretches = [(tile.box[long], tile.box[long + 2]) for tile in parts]
    for (_, end), (start, _) in pairwise(stretches):
        assert end - start >= tiles.OVERLAP - 1


@pytest.mark.parametrize("model", [PADDED, SHORT], ids=lambda model: model.name)
def test_every_line_of_a_receipt_comes_out_once_whatever_the_model(model: DetectionModel) -> None:
    lines = [box(30, y, 450, y + 30) for y in range(10, 2950, 47)]
    found = round_trip(500, 3000, lines, model)
    found = found[np.argsort(found[:, 0, 1])]
    assert len(found) == len(lines)
    assert np.abs(found - np.array(lines)).max() <= 1.0


@pytest.mark.parametrize(
    ("width", "height", "field"),
    [
        (1240, 1754, (736, 1056)),
        (4032, 3024, (992, 736)),
        (1000, 700, (1056, 736)),
        (400, 300, (992, 736)),
        (500, 3000, (512, 3008)),  # a strip is not enlarged
        (10_000, 10_000, (736, 736)),
    ],
)
def test_the_short_side_has_one_length_and_the_long_one_is_a_multiple(
    width: int, height: int, field: tuple[int, int]
) -> None:
    plan, parts = first_shown(width, height, SHORT)
    assert (plan.width, plan.height) == field
    assert all(tile.inset == (0, 0) for tile in parts)


def test_a_page_too_narrow_for_the_short_side_is_enlarged_so_far_and_gets_a_rim() -> None:
    plan, (only,) = first_shown(60, 24, SHORT)
    assert plan.scale == tiles.MAX_ENLARGEMENT
    assert min(only.inset) >= tiles.RIM


@pytest.mark.parametrize("model", [PADDED, SHORT], ids=lambda model: model.name)
@pytest.mark.parametrize("name", ["photograph", "hundred megapixels", "square"])
def test_other_models_look_closer_only_at_lines_that_are_small_in_their_field(
    name: str, model: DetectionModel
) -> None:
    width, height = SIZES[name]
    first = tiles.first_look(width, height, model)
    assert first.scale < 1.0
    large = small_text(model.small_text + 1, first)
    assert tiles.closer_look(width, height, large, first, model) is None
    small = small_text(model.small_text / 2, first)
    closer = tiles.closer_look(width, height, small, first, model)
    assert closer is not None
    assert 1.2 * first.scale < closer.scale <= 1.0
    for tile in shown(width, height, closer, model):
        tile_height, tile_width, _ = tile.pixels.shape
        assert tile_height % model.multiple == tile_width % model.multiple == 0
        assert max(tile_height, tile_width) <= model.long_side


@pytest.mark.parametrize("height", [4.0, 5.0, 6.0, 7.0, 7.9])
@pytest.mark.parametrize("page", [(4032, 3024), (1600, 2400), (3300, 2550), (2000, 1200)])
def test_no_tile_of_a_closer_look_is_longer_than_the_field(
    page: tuple[int, int], height: float
) -> None:
    """Also where the whole page just fits what one tile of another model may hold."""
    first = tiles.first_look(*page, PADDED)
    closer = tiles.closer_look(*page, small_text(height, first), first, PADDED)
    assert closer is not None
    for tile in shown(*page, closer, PADDED):
        assert max(tile.pixels.shape) <= PADDED.long_side


def test_a_page_that_other_models_enlarge_is_not_looked_at_closer() -> None:
    for model in (PADDED, SHORT):
        first = tiles.first_look(400, 300, model)
        assert tiles.closer_look(400, 300, small_text(4, first), first, model) is None
