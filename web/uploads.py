"""Requests that bring files: what is in them, and what is wanted of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from ocr.errors import BadRequest, NotAcceptable, TooManyImages, TypeUnsupported
from ocr.formats.catalogue import FORMATS
from ocr.wanted import Wanted

FORM = "multipart/form-data"
FIELDS = 64  # of a form, beside its files


@dataclass(frozen=True)
class Upload:
    """One file and the name that it came with, if any."""

    source: str
    data: bytes


async def receive(request: Request, most: int) -> tuple[list[Upload], Wanted]:
    """The files of a request, up to `most`, and its options from the query and the form.

    Raises BadRequest, TypeUnsupported, TooManyImages, NotAcceptable.
    """
    options = list(request.query_params.multi_items())
    uploads = []
    kind = _media_type(request.headers.get("content-type", ""))
    if kind == FORM:
        async with _Form(request, most) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    uploads.append(Upload(value.filename or "", await value.read()))
                else:
                    options.append((name, value))
    elif _is_file(kind):
        uploads.append(Upload("", await request.body()))
    else:
        raise TypeUnsupported(
            f"{kind}: send {FORM}, or a file as it is with its own type; JSON goes to /ocr_system"
        )
    if not any(upload.data for upload in uploads):
        raise BadRequest("there is no file in the request, or an empty one")
    return uploads, _wanted(options, request.headers.get("accept", ""))


class _Form:
    """A form while its files are needed; what it lacks is told as our errors."""

    def __init__(self, request: Request, most: int) -> None:
        self._request = request
        self._most = most

    async def __aenter__(self) -> FormData:
        try:
            form = await self._request.form(max_files=self._most, max_fields=FIELDS)
        except (MultiPartException, HTTPException) as error:
            text = error.message if isinstance(error, MultiPartException) else str(error.detail)
            if text.startswith("Too many files"):
                raise TooManyImages(f"the limit is {self._most} files") from None
            raise BadRequest(f"the form cannot be read: {text}") from None
        return form

    async def __aexit__(self, *error: object) -> None:
        await self._request.close()


def _media_type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def _is_file(kind: str) -> bool:
    """Also what has no type: what a file is, its bytes say."""
    return kind.startswith("image/") or kind in ("", "application/pdf", "application/octet-stream")


def _wanted(options: Iterable[tuple[str, str]], accept: str) -> Wanted:
    given: dict[str, str] = {}
    for name, value in options:
        if name in given:
            raise BadRequest(f"{name}: given twice")
        given[name] = value
    if "format" not in given:
        given["format"] = accepted(accept)
    try:
        return Wanted.model_validate(given)
    except ValidationError as error:
        raise BadRequest("; ".join(_fault(each) for each in error.errors())) from None


def _fault(error: Mapping[str, object]) -> str:
    place = error["loc"]
    name = ".".join(str(part) for part in place) if isinstance(place, tuple) else str(place)
    return f"{name}: {error['msg']}"


def accepted(accept: str) -> str:
    """The format that an Accept header likes best; JSON if it is all the same.

    Raises NotAcceptable if there is none.
    """
    best, name = 0.0, ""
    for part in accept.split(",") if accept.strip() else ["*/*"]:
        media, weight = _weighed(part)
        found = next((n for n, each in FORMATS.items() if _matches(media, each.media_type)), "")
        if found and weight > best:
            best, name = weight, found
    if not name:
        offered = ", ".join(_media_type(each.media_type) for each in FORMATS.values())
        raise NotAcceptable(f"{accept}: there is {offered}")
    return name


def _weighed(part: str) -> tuple[str, float]:
    """A media range and its q: 1 if there is none, 0 if it is no number."""
    media, *parameters = (each.strip() for each in part.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            try:
                return media.lower(), float(value)
            except ValueError:
                return media.lower(), 0.0
    return media.lower(), 1.0


def _matches(wanted: str, media_type: str) -> bool:
    have = _media_type(media_type)
    return wanted in ("*/*", have, f"{have.partition('/')[0]}/*")
