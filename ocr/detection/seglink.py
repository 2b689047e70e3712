"""SegLink++: from segments on six levels and the links between them to quads.

Method: Tang et al., "SegLink++: Detecting Dense and Arbitrary-shaped Scene Text by Instance-aware
Component Grouping" (Pattern Recognition 96, 2019) and Shi et al., "Detecting Oriented Text in
Natural Images by Linking Segments" (CVPR 2017), in the form that ModelScope gave it: its float32
arithmetic is kept, so that the same maps give the same boxes. Two rules of it are odd and kept as
well: a segment that stands alone is turned by atan2(cos, sin), and of boxes that lie on each other
the widest stays.

All works on arrays at once, so that no map takes long: 87,360 nodes, the most that a picture of
1024 by 1024 has, take less than 50 ms however they are linked.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ocr.model import SegLinkModel

STRIDES = (4, 8, 16, 32, 64, 128)  # of the six levels, in pixels
ANCHORS = (6.0, 11.84210526, 23.68421053, 45.0, 90.0, 150.0)  # their side, in pixels
NEIGHBOURS = ((-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1))  # as (dx, dy)
PARTS = ((0, 0), (1, 0), (0, 1), (1, 1))  # of a node, on the next finer level

MAX_BOXES = 2000  # that are compared with each other: the widest
MAX_PAIRS = 2**19  # of segments that are measured in search of the ends of groups
MIN_SIDE = 1.0  # of a box, in pixels
BLOCK = 64  # boxes that are compared with all others at a time

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Segments:
    """The segments of one picture in the order of their nodes; arrays of shape (n,).

    Lengths are in pixels of the network's input, what is not an index is float32. Groups are
    numbered from 0 in the order of their first nodes.
    """

    node: Indices
    group: Indices
    cx: Floats
    cy: Floats
    width: Floats
    height: Floats
    cos: Floats
    sin: Floats
    probability: Floats


def boxes(
    nodes: Floats, links: Floats, offsets: Floats, height: int, width: int, model: SegLinkModel
) -> Floats:
    """Find the text boxes of one picture.

    Takes what `segments` takes, gives (n, 9) float32: four corners (x, y) clockwise from the top
    left, in pixels of the picture and inside it, and the mean probability of the segments. The
    widest come first; of more than MAX_BOXES only the widest are looked at. What lies beside the
    picture or is not finite is left out.
    """
    rboxes, scores = combine(segments(nodes, links, offsets, height, width, model))
    with np.errstate(all="ignore"):  # a network gone astray may say anything
        quads = corners(rboxes)
    sound = np.flatnonzero(np.isfinite(rboxes).all(axis=1) & np.isfinite(quads).all(axis=(1, 2)))
    widest = np.argsort(-rboxes[sound, 2], kind="stable")[:MAX_BOXES]
    sound = np.sort(sound[widest])
    quads = np.clip(quads[sound], 0, np.array([width - 1, height - 1], np.float32))
    inside = np.flatnonzero(_least_side(quads) >= MIN_SIDE)
    kept = inside[suppress(quads[inside])]
    found = _clockwise(quads[kept]).reshape(-1, 8)
    return np.concatenate([found, scores[sound[kept], np.newaxis]], axis=1)


def segments(
    nodes: Floats, links: Floats, offsets: Floats, height: int, width: int, model: SegLinkModel
) -> Segments:
    """Decode the segments of one picture of `height` by `width` pixels, multiples of 128.

    `nodes` (n,) and `links` (m,) are float32 probabilities, `offsets` (n, 6) float32 what the
    network says of cx, cy, width, height, cos and sin. Nodes are those of the levels from fine to
    coarse, row by row; the links of a node are NEIGHBOURS, and from the second level on PARTS.
    Two nodes are of one group if either has a link to the other.
    """
    grid = _grid(height, width)
    node = np.flatnonzero(nodes >= model.node_threshold)
    root = _roots(len(node), *_edges(links, node, grid, model.link_threshold))
    first = root == np.arange(len(node))
    said = offsets[node].T
    anchor = grid.anchor[node]
    with np.errstate(all="ignore"):
        return Segments(
            node=node,
            group=(np.cumsum(first) - 1)[root],
            cx=said[0] * anchor + grid.x[node],
            cy=said[1] * anchor + grid.y[node],
            width=np.exp(said[2]) * anchor - np.float32(1e-6),
            height=np.exp(said[3]) * anchor - np.float32(1e-6),
            cos=said[4],
            sin=said[5],
            probability=nodes[node],
        )


def combine(found: Segments) -> tuple[Floats, Floats]:
    """One box a group: (g, 5) float32 cx, cy, width, height, angle, and (g,) float32 scores.

    Lengths in pixels, angles in radians. A line of the mean angle is laid through the centres; the
    box spans the two segments that are furthest apart on it. The score is the mean probability.
    """
    size = np.bincount(found.group)
    rboxes = np.empty((len(size), 5), np.float32)
    scores = np.empty(len(size), np.float32)
    alone = size[found.group] == 1
    for members, boxes_of in ((alone, _alone), (~alone, _together)):
        index = np.flatnonzero(members)
        index = index[np.argsort(found.group[index], kind="stable")]
        with np.errstate(all="ignore"):
            rows = boxes_of(found, index)
        group = found.group[index]
        which = group[np.diff(group, prepend=-1) != 0]
        rboxes[which], scores[which] = rows[:, :5], rows[:, 5]
    return rboxes, scores


def corners(rboxes: Floats) -> Floats:
    """The (g, 4, 2) float32 corners of (g, 5) boxes.

    They begin where the text begins, go along it and come back below; with the angle the text has
    in the picture, which may be upside down.
    """
    cx, cy, width, height, angle = rboxes.T
    cos, sin = np.cos(angle), np.sin(angle)
    centre = np.stack([cx, cy], axis=1)
    along = np.stack([cos * (width / 2), sin * (width / 2)], axis=1)
    down = np.stack([-sin * (height / 2), cos * (height / 2)], axis=1)
    return np.stack(
        [
            centre - along - down,
            centre + along - down,
            centre + along + down,
            centre - along + down,
        ],
        axis=1,
    )


def suppress(quads: npt.NDArray[np.floating | np.integer]) -> Indices:
    """Which of (n, 4, 2) quads, ordered as by `corners`, stay: their indices, the widest first.

    A quad goes if it is narrower than one that stays and the centre of either lies inside the
    other; what is inside is judged by the rectangle of the quad's mean sides and mean angle.
    """
    rectangles = _rectangles(quads.astype(np.float64))
    left = np.argsort(-rectangles[2], kind="stable")
    kept = []
    while left.size:
        block, left = left[:BLOCK], left[BLOCK:]
        block = _greedy(block, _overrules(rectangles[:, block], rectangles[:, block]))
        left = left[~_overrules(rectangles[:, block], rectangles[:, left]).any(axis=0)]
        kept.append(block)
    return np.concatenate(kept) if kept else left


@dataclass(frozen=True)
class _Grid:
    """What is the same for all pictures of a size, by node."""

    x: Floats  # the middle of the node's cell, in pixels
    y: Floats
    anchor: Floats
    finest: int  # nodes of the finest level
    # Where the links lead: node numbers (nodes of the level, links), or -1 for out of the picture.
    fine: npt.NDArray[np.int32]
    coarse: npt.NDArray[np.int32]


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> _Grid:
    shapes = [(height // stride, width // stride) for stride in STRIDES]
    sizes = [rows * columns for rows, columns in shapes]
    starts = [0, *np.cumsum(sizes).tolist()]
    y, x = (
        np.concatenate([axis.ravel() for axis in axes]).astype(np.float32)
        for axes in zip(*(np.indices(shape) for shape in shapes), strict=True)
    )
    stride, anchor = (np.repeat(np.array(of, np.float32), sizes) for of in (STRIDES, ANCHORS))
    near = [
        _targets(shape, shape, NEIGHBOURS, 1, start)
        for shape, start in zip(shapes, starts, strict=False)
    ]
    below = [
        _targets(shapes[level], shapes[level - 1], PARTS, 2, starts[level - 1])
        for level in range(1, len(STRIDES))
    ]
    coarse = np.concatenate([np.concatenate(near[1:]), np.concatenate(below)], axis=1)
    return _Grid(stride * (x + 0.5), stride * (y + 0.5), anchor, sizes[0], near[0], coarse)


def _targets(
    shape: tuple[int, int],
    other: tuple[int, int],
    steps: tuple[tuple[int, int], ...],
    scale: int,
    start: int,
) -> npt.NDArray[np.int32]:
    """The nodes of another level that are `steps` away from each node: (nodes, steps) int32."""
    y, x = (axis.reshape(-1, 1) * scale for axis in np.indices(shape))
    dx, dy = np.array(steps).T
    there = (x + dx >= 0) & (x + dx < other[1]) & (y + dy >= 0) & (y + dy < other[0])
    return np.where(there, start + (y + dy) * other[1] + x + dx, -1).astype(np.int32)


def _edges(links: Floats, node: Indices, grid: _Grid, threshold: float) -> tuple[Indices, Indices]:
    """Pairs of linked nodes, as places in `node`."""
    place = np.full(len(grid.x) + 1, -1)  # the last is -1, out of the picture
    place[node] = np.arange(len(node))
    split = int(np.searchsorted(node, grid.finest))
    of_finest = grid.finest * len(NEIGHBOURS)
    a, b = _linked(links[:of_finest], node[:split], grid.fine, threshold, place)
    c, d = _linked(links[of_finest:], node[split:] - grid.finest, grid.coarse, threshold, place)
    return np.concatenate([a, c + split]), np.concatenate([b, d])


def _linked(
    links: Floats,
    node: Indices,
    targets: npt.NDArray[np.int32],
    threshold: float,
    place: Indices,
) -> tuple[Indices, Indices]:
    """Pairs of a place in `node` and the place of another segment that it is linked to."""
    linked = np.flatnonzero(links.reshape(targets.shape)[node] >= threshold)
    end = place[targets[node].ravel()[linked]]
    there = end >= 0
    return linked[there] // targets.shape[1], end[there]


def _roots(count: int, a: Indices, b: Indices) -> Indices:
    """The smallest of the items 0 to count - 1 that each is connected with by pairs of `a`, `b`.

    Each tree hooks on to the smallest of the smaller trees beside it until no pair joins two.
    """
    root = np.arange(count)
    while a.size:
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while True:
            shorter = root[root]
            if np.array_equal(shorter, root):
                break
            root = shorter
        a, b = root[a], root[b]
        apart = a != b
        a, b = a[apart], b[apart]
    return root


def _alone(found: Segments, index: Indices) -> Floats:
    """Boxes and scores (g, 6) of groups that have but one segment."""
    angle = np.arctan2(found.cos[index], found.sin[index])  # so swapped in ModelScope
    return np.stack(
        [
            found.cx[index],
            found.cy[index],
            found.width[index],
            found.height[index],
            angle,
            found.probability[index],
        ],
        axis=1,
    )


def _together(found: Segments, index: Indices) -> Floats:
    """Boxes and scores (g, 6) of groups; `index` holds their segments, group by group."""
    group = found.group[index]
    start = np.flatnonzero(np.diff(group, prepend=-1))
    count = np.diff(start, append=len(index))
    cx, cy = found.cx[index], found.cy[index]
    angle = np.arctan2(_sums(found.sin[index], start, count), _sums(found.cos[index], start, count))
    slope: Floats = np.tan(angle)
    size = count.astype(np.float32)
    base = _sums(cy - np.repeat(slope, count) * cx, start, count) / size
    one, other, distance = _ends(*_projected(cx, cy, slope, base, count), start, count)
    width = found.width[index]
    return np.stack(
        [
            (cx[one] + cx[other]) / 2,
            (cy[one] + cy[other]) / 2,
            distance + (width[one] + width[other]) / 2,
            _sums(found.height[index], start, count) / size,
            angle,
            _sums(found.probability[index], start, count) / size,
        ],
        axis=1,
    )


def _sums(values: Floats, start: Indices, count: Indices) -> Floats:
    """Sums of runs of `values`, rounded as np.sum does it.

    It adds pair by pair, and `reduceat` does so with all of a run but its first value: a 0.
    """
    padded = np.zeros(len(values) + len(start), np.float32)
    padded[np.arange(len(values)) + np.repeat(np.arange(1, len(start) + 1), count)] = values
    sums: Floats = np.add.reduceat(padded, start + np.arange(len(start)))
    return sums


def _projected(
    cx: Floats, cy: Floats, slope: Floats, base: Floats, count: Indices
) -> tuple[Floats, Floats, Doubles, Doubles]:
    """Centres on their group's line y = slope x + base: float32 x and y, rounded as ModelScope's.

    Then, in float64, how far along the line they are and how far beside it rounding took them.
    """
    square = slope * slope
    of_lines: list[Floats] = [slope, square, slope * base, base, square + 1]
    k, kk, kb, b, n = (np.repeat(of_line, count) for of_line in of_lines)
    x = (k * cy + cx - kb) / n
    y = (kk * cy + k * cx + b) / n
    steep = slope.astype(np.float64)
    cos = np.repeat(1 / np.hypot(1, steep), count)
    sin = np.repeat(steep / np.hypot(1, steep), count)
    return x, y, x * cos + y * sin, y * cos - x * sin


def _ends(
    x: Floats, y: Floats, along: Doubles, beside: Doubles, start: Indices, count: Indices
) -> tuple[Indices, Indices, Floats]:
    """The two points of each group that are furthest apart, and their distance in float32.

    Of pairs that float32 finds equally far apart the first counts, as if all were tried in turn.
    Only points so near the ends that rounding can make them the furthest are tried.
    """
    low, high = np.minimum.reduceat(along, start), np.maximum.reduceat(along, start)
    across = np.maximum.reduceat(beside, start) - np.minimum.reduceat(beside, start)
    span = high - low
    # The pair wins by float32's squares, sum and root, which err by 2**-20 of it at most; so it
    # is at least this long, and this much of that lies along the line.
    least = np.sqrt(np.maximum(span**2 * (1 - 2.0**-19) - across**2, 0))
    group = np.repeat(np.arange(len(start)), count)
    at_low = _distinct(np.flatnonzero(along <= np.repeat(high - least, count)), x, y, group)
    at_high = _distinct(np.flatnonzero(along >= np.repeat(low + least, count)), x, y, group)
    one, other = _pairs(at_low, at_high, group, len(start))
    distance = np.sqrt((x[one] - x[other]) ** 2 + (y[one] - y[other]) ** 2)
    one, other = np.minimum(one, other), np.maximum(one, other)
    best = _first_longest(distance, one, other, group[one])
    best = best[distance[best] > 0]
    # Other groups lie in one place, where the first pair is as good as any, or nowhere finite.
    ends, longest = np.stack([start, start + 1]), span.astype(np.float32)
    which = group[one[best]]
    ends[:, which] = one[best], other[best]
    longest[which] = distance[best]
    return ends[0], ends[1], longest


def _distinct(index: Indices, x: Floats, y: Floats, group: Indices) -> Indices:
    """Of points in the very same place only the first of each group."""
    place = np.stack([x[index], y[index]], axis=1).view(np.int64)[:, 0]
    order = np.lexsort((place, group[index]))
    same = (np.diff(place[order]) == 0) & (np.diff(group[index[order]]) == 0)
    return np.sort(np.delete(index[order], np.flatnonzero(same) + 1))


def _pairs(
    at_low: Indices, at_high: Indices, group: Indices, groups: int
) -> tuple[Indices, Indices]:
    """All pairs of a point at the low and one at the high end of a group, group by group.

    More than MAX_PAIRS are too many: then only the first points of each end are paired.
    """
    most = max(1, MAX_PAIRS // max(1, min(len(at_low), len(at_high))))
    at_low, _ = _first_few(at_low, group, groups, most)
    at_high, count = _first_few(at_high, group, groups, most)
    partners = count[group[at_low]]
    begin = (np.cumsum(count) - count)[group[at_low]]
    one = np.repeat(at_low, partners)
    step = np.arange(len(one)) - np.repeat(np.cumsum(partners) - partners, partners)
    return one, at_high[np.repeat(begin, partners) + step]


def _first_few(index: Indices, group: Indices, groups: int, most: int) -> tuple[Indices, Indices]:
    """At most the first `most` of each group, and how many those are."""
    count = np.bincount(group[index], minlength=groups)
    begin = np.cumsum(count) - count
    return index[np.arange(len(index)) - begin[group[index]] < most], np.minimum(count, most)


def _first_longest(distance: Floats, one: Indices, other: Indices, group: Indices) -> Indices:
    """Of each group that has pairs, the place of its longest; of equals, the first in order."""
    start = np.flatnonzero(np.diff(group, prepend=-1))
    count = np.diff(start, append=len(group))
    tied = np.flatnonzero(distance == np.repeat(np.maximum.reduceat(distance, start), count))
    tied = tied[np.lexsort((other[tied], one[tied], group[tied]))]
    firsts: Indices = tied[np.diff(group[tied], prepend=-1) != 0]
    return firsts


def _rectangles(quads: Doubles) -> Doubles:
    """What stands for quads when they are compared, (6, n): the centre's x and y, half the width,
    half the height, and the angle's cos and sin.
    """
    x, y = quads.transpose(2, 1, 0)
    cx, cy = (x[0] + x[1] + x[2] + x[3]) / 4, (y[0] + y[1] + y[2] + y[3]) / 4
    top, bottom = _length(x[1] - x[0], y[1] - y[0]), _length(x[2] - x[3], y[2] - y[3])
    height = _beside(cx, cy, x[:2], y[:2], top) + _beside(cx, cy, x[2:], y[2:], bottom)
    angle = np.arctan2(y[1] - y[0], x[1] - x[0]) + np.arctan2(y[2] - y[3], x[2] - x[3])
    return np.stack(
        [cx, cy, (top + bottom) / 2 / 2, height / 2, np.cos(angle / 2), np.sin(angle / 2)]
    )


def _length(x: Doubles, y: Doubles) -> Doubles:
    return np.asarray(np.sqrt(x * x + y * y))  # not hypot, which rounds otherwise


def _beside(cx: Doubles, cy: Doubles, x: Doubles, y: Doubles, length: Doubles) -> Doubles:
    """How far a point lies from the line through two others, (2, n), that are `length` apart."""
    dx, dy = x[1] - x[0], y[1] - y[0]
    return np.asarray(np.abs(cx * dy - cy * dx + x[1] * y[0] - y[1] * x[0]) / (length + 1e-6))


def _overrules(a: Doubles, b: Doubles) -> npt.NDArray[np.bool_]:
    """Whether each rectangle of `a` removes each of `b`: (len a, len b)."""
    dx, dy = np.subtract.outer(a[0], b[0]), np.subtract.outer(a[1], b[1])
    near = _inside(dx, dy, a[2:, :, np.newaxis]) | _inside(dx, dy, b[2:, np.newaxis])
    return np.asarray(near & np.greater.outer(a[2], b[2]))


def _inside(dx: Doubles, dy: Doubles, rectangle: Doubles) -> npt.NDArray[np.bool_]:
    half_width, half_height, cos, sin = rectangle
    along, down = np.abs(dx * cos + dy * sin), np.abs(dy * cos - dx * sin)
    return np.asarray((along < half_width) & (down < half_height))


def _greedy(order: Indices, overrules: npt.NDArray[np.bool_]) -> Indices:
    """Those of `order` that none before them that stays overrules."""
    stays = np.ones(len(order), bool)
    for one in np.flatnonzero(overrules.any(axis=1)):
        if stays[one]:
            stays[overrules[one]] = False
    return order[stays]


def _least_side(quads: Floats) -> Floats:
    """The shorter of a quad's width and height: of each two opposite sides the longer counts."""
    sides = np.linalg.norm(quads - np.roll(quads, -1, axis=1), axis=2)
    return np.asarray(np.maximum(sides[:, :2], sides[:, 2:]).min(axis=1))


def _clockwise(quads: Floats) -> Floats:
    """Order the corners of (n, 4, 2) quads clockwise from the top left."""
    by_x = _ordered(quads, 0)
    left, right = _ordered(by_x[:, :2], 1), _ordered(by_x[:, 2:], 1)
    return np.concatenate([left[:, :1], right, left[:, 1:]], axis=1)


def _ordered(points: Floats, axis: int) -> Floats:
    order: Indices = np.argsort(points[:, :, axis], axis=1, kind="stable")
    return np.take_along_axis(points, order[:, :, np.newaxis], axis=1)
