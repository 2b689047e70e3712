"""Text that a page of a PDF has from before: visible, or invisible as an earlier reading left it.

What cannot be followed raises pikepdf.PdfError: content that is damaged, or drawings (form
XObjects) that are nested too deep.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
from pikepdf import (
    Array,
    ContentStreamInlineImage,
    ContentStreamInstruction,
    Dictionary,
    Matrix,
    Name,
    Object,
    Page,
    Pdf,
    PdfError,
    Stream,
    String,
    parse_content_stream,
    unparse_content_stream,
)

from ocr.formats.text_layer import INVISIBLE

SHOWING = ("Tj", "TJ", "'", '"')
MOVING = ("'", '"')
FOLLOWED = "q Q cm BT Tm Td TD TL T* Tr Do Tj TJ ' \""  # operators
BLANKS = b" \0"
DEEPEST = 20  # drawings within drawings
MOST = 10_000  # pieces of text that are looked at
PACKING = ("/Length", "/Filter", "/DecodeParms")  # what a stream says of its bytes
UNMOVED = Matrix()

Operands = Sequence[Object]
Instruction = ContentStreamInstruction | ContentStreamInlineImage
Use = tuple[tuple[int, int], int]  # of a drawing: which, and in which text rendering mode


def shown(page: Page) -> npt.NDArray[np.float64]:
    """Where the pieces of a page's visible text start, (n, 2) in its coordinates.

    A piece that goes on where another ends has the start of their line.
    """
    with _followed():
        starts = islice(_Search().starts(_scope(page), _State(), DEEPEST), MOST)
        return np.array(list(starts), np.float64).reshape(-1, 2)


def strip(pdf: Pdf, page: Page) -> None:
    """Take a page's invisible text away, also out of the drawings that it uses."""
    with _followed():
        stripped = _Strip(pdf).stripped(_scope(page), _State(), DEEPEST)
    if stripped is not None:
        data, page.obj.Resources = stripped
        page.obj.Contents = pdf.make_stream(data)


@contextmanager
def _followed() -> Iterator[None]:
    try:
        yield
    except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
        # What a file has in place of a number, a name or a dictionary may be anything.
        raise PdfError(f"content that cannot be followed: {error}") from error


@dataclass(frozen=True)
class _Scope:
    """A content stream and the resources that its names are of."""

    content: Page | Stream
    resources: Dictionary

    def form(self, operands: Operands, operator: str) -> Stream | None:
        """The drawing that an operator uses, None where it is none."""
        named = self.resources.get("/XObject") if operator == "Do" else None
        found = named.get(str(operands[0])) if isinstance(named, Dictionary) else None
        if isinstance(found, Stream) and found.get("/Subtype") == Name.Form:
            return found
        return None

    def within(self, form: Stream) -> "_Scope":
        resources = form.get("/Resources")
        return _Scope(form, resources if isinstance(resources, Dictionary) else self.resources)


def _scope(page: Page) -> _Scope:
    return _Scope(page, page.get_resources() or Dictionary())


@dataclass(frozen=True)
class _State:
    """What the graphics state says of text."""

    mode: int = 0
    page: Matrix = UNMOVED  # from the content's coordinates to the page's
    line: Matrix = UNMOVED  # from those of a line of text to the content's
    leading: float = 0.0

    @property
    def visible(self) -> bool:
        return self.mode != INVISIBLE

    @property
    def start(self) -> tuple[float, float]:
        matrix = self.line @ self.page
        return matrix.e, matrix.f

    def after(self, operator: str, operands: Operands) -> "_State":
        """The state that an operator leaves behind."""
        match operator:
            case "cm":
                return replace(self, page=_matrix(operands) @ self.page)
            case "BT":
                return replace(self, line=UNMOVED)
            case "Tm":
                return replace(self, line=_matrix(operands))
            case "Td":
                return self._moved(*map(float, operands))
            case "TD":
                return replace(self._moved(*map(float, operands)), leading=-float(operands[1]))
            case "TL":
                return replace(self, leading=float(operands[0]))
            case "T*":
                return self._moved(0, -self.leading)
            case "Tr":
                return replace(self, mode=int(operands[0]))
        return self

    def within(self, form: Stream) -> "_State":
        matrix = form.get("/Matrix")
        return replace(self, page=_matrix(list(matrix)) @ self.page) if matrix else self

    def _moved(self, x: float, y: float) -> "_State":
        return replace(self, line=Matrix(1, 0, 0, 1, x, y) @ self.line)


def _matrix(numbers: Sequence[Object]) -> Matrix:
    return Matrix(*map(float, numbers))


@dataclass(frozen=True)
class _Step:
    """An instruction of a content stream, and the state in which it takes place."""

    instruction: Instruction
    shows: bool
    form: Stream | None  # that it draws
    state: _State


def _steps(scope: _Scope, state: _State, operators: str = "") -> Iterator[_Step]:
    """Follow a content stream, or those operators of it."""
    saved: list[_State] = []
    for instruction in parse_content_stream(scope.content, operators):
        operands, operator = list(instruction.operands), str(instruction.operator)
        if operator in MOVING:  # to the next line, and only then it shows
            state = state.after("T*", ())
        shows = operator in SHOWING and bool(_codes(operands).strip(BLANKS))
        yield _Step(instruction, shows, scope.form(operands, operator), state)
        if operator == "q":
            saved.append(state)
        elif operator == "Q":
            state = saved.pop() if saved else state
        else:
            state = state.after(operator, operands)


def _codes(operands: Operands) -> bytes:
    """The codes of all characters that an operator shows."""
    shown = operands[-1]
    pieces = list(shown) if isinstance(shown, Array) else [shown]
    return b"".join(bytes(piece) for piece in pieces if isinstance(piece, String))


class _Search:
    """Looks for visible text; drawings without any are looked at once."""

    def __init__(self) -> None:
        self._blank: set[Use] = set()

    def starts(self, scope: _Scope, state: _State, depth: int) -> Iterator[tuple[float, float]]:
        for step in _steps(scope, state, FOLLOWED):
            if step.form is not None:
                yield from self._starts_in(step.form, scope, step.state, depth)
            elif step.shows and step.state.visible:
                yield step.state.start

    def _starts_in(
        self, form: Stream, scope: _Scope, state: _State, depth: int
    ) -> Iterator[tuple[float, float]]:
        use = _use(form, state)
        if use in self._blank:
            return
        found = False
        for start in self.starts(scope.within(form), state.within(form), _deeper(depth)):
            found = True
            yield start
        if not found:
            self._blank.add(use)


class _Strip:
    """Writes content anew without invisible text, where there is any; each drawing once."""

    def __init__(self, pdf: Pdf) -> None:
        self._pdf = pdf
        self._forms: dict[Use, Stream] = {}

    def stripped(self, scope: _Scope, state: _State, depth: int) -> tuple[bytes, Dictionary] | None:
        """A content stream, and its resources with drawings that are stripped as well.

        None if there is nothing to take away.
        """
        kept: list[Instruction] = []
        drawings = copy.copy(scope.resources.get("/XObject", Dictionary()))
        changed = False
        for step in _steps(scope, state):
            if step.shows and not step.state.visible:
                changed = True
                continue
            kept.append(step.instruction)
            if step.form is not None:
                form = self._form(step.form, scope, step.state, depth)
                if form.objgen != step.form.objgen:
                    drawings[str(step.instruction.operands[0])] = form
                    changed = True
        if not changed:
            return None
        resources = copy.copy(scope.resources)
        resources["/XObject"] = drawings
        return unparse_content_stream(kept), resources

    def _form(self, form: Stream, scope: _Scope, state: _State, depth: int) -> Stream:
        use = _use(form, state)
        if use not in self._forms:
            stripped = self.stripped(scope.within(form), state, _deeper(depth))
            self._forms[use] = form if stripped is None else self._changed(form, *stripped)
        return self._forms[use]

    def _changed(self, form: Stream, data: bytes, resources: Dictionary) -> Stream:
        kept = {key: value for key, value in form.stream_dict.items() if key not in PACKING}
        return self._pdf.make_stream(data, {**kept, "/Resources": resources})


def _use(form: Stream, state: _State) -> Use:
    return form.objgen, state.mode


def _deeper(depth: int) -> int:
    if depth == 0:
        raise PdfError(f"drawings within drawings, more than {DEEPEST} deep")
    return depth - 1
