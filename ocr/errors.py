"""Every error this project raises on purpose, each with a stable code and an HTTP status.

    OcrError
    ├── RequestError              the request as a whole
    │   ├── BadRequest            BAD_REQUEST          400
    │   ├── TooManyImages         TOO_MANY_IMAGES      413
    │   ├── RequestTooLarge       REQUEST_TOO_LARGE    413
    │   ├── TypeUnsupported       UNSUPPORTED_MEDIA_TYPE 415
    │   ├── NotAcceptable         NOT_ACCEPTABLE       406
    │   ├── OnePageOnly           ONE_PAGE_ONLY        422
    │   ├── JobUnknown            JOB_UNKNOWN          404
    │   ├── JobNotDone            JOB_NOT_DONE         409
    │   ├── JobsUnavailable       JOBS_UNAVAILABLE     503
    │   ├── Unauthorized          UNAUTHORIZED         401
    │   ├── RateLimited           RATE_LIMITED         429
    │   ├── Busy                  BUSY                 503
    │   ├── UploadTimedOut        UPLOAD_TIMEOUT       408
    │   └── TimedOut              TIMEOUT              504
    ├── SourceError               where one picture should have come from
    │   ├── NotBase64             NOT_BASE64           400
    │   ├── UrlForbidden          URL_FORBIDDEN        403
    │   ├── UrlUnreachable        URL_UNREACHABLE      502
    │   └── FileUnreadable        FILE_UNREADABLE      404
    ├── PictureError              the bytes of one picture
    │   ├── NotAnImage            NOT_AN_IMAGE         415
    │   ├── ImageDamaged          IMAGE_DAMAGED        422
    │   ├── PdfEncrypted          PDF_ENCRYPTED        422
    │   ├── NoPages               NO_PAGES             422
    │   ├── PagesOutOfRange       PAGES_OUT_OF_RANGE   422
    │   └── ImageTooLarge         IMAGE_TOO_LARGE      413
    ├── ModelError                a model on disk
    │   ├── ModelMissing          MODEL_MISSING        500
    │   ├── ModelDamaged          MODEL_DAMAGED        500
    │   └── ModelUnreachable      MODEL_UNREACHABLE    502
    ├── DiskFull                  DISK_FULL            507
    ├── ServerUnreachable         SERVER_UNREACHABLE   502
    ├── DeviceUnavailable         DEVICE_UNAVAILABLE   500
    └── InferenceFailed           INFERENCE_FAILED     500

An error carries no state but its message, so it survives the way between processes.
"""

from collections.abc import Iterator
from typing import ClassVar


class OcrError(Exception):
    """Base of all; `code` never changes once published, the message may."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def as_dict(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message}

    @staticmethod
    def of(code: str, message: str) -> "OcrError":
        """The error that a code stands for; of an unknown one a plain OcrError that names it."""
        for kind in _kinds(OcrError):
            if kind.code == code and "code" in vars(kind):
                return kind(message)
        return OcrError(message if code == OcrError.code else f"{code}: {message}")


def _kinds(base: type[OcrError]) -> Iterator[type[OcrError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


class RequestError(OcrError):
    """The request as a whole cannot be served."""


class BadRequest(RequestError):
    """The body is not what the API takes."""

    code, status = "BAD_REQUEST", 400


class TooManyImages(RequestError):
    """More pictures than OCR_MAX_IMAGES."""

    code, status = "TOO_MANY_IMAGES", 413


class RequestTooLarge(RequestError):
    """The body is longer than OCR_MAX_REQUEST_BYTES."""

    code, status = "REQUEST_TOO_LARGE", 413


class TypeUnsupported(RequestError):
    """The body's content type is none that the call takes."""

    code, status = "UNSUPPORTED_MEDIA_TYPE", 415


class NotAcceptable(RequestError):
    """None of the formats that the Accept header names can be given."""

    code, status = "NOT_ACCEPTABLE", 406


class OnePageOnly(RequestError):
    """The format holds one page, and there are more."""

    code, status = "ONE_PAGE_ONLY", 422


class JobUnknown(RequestError):
    """No job has this id, or it is over and forgotten."""

    code, status = "JOB_UNKNOWN", 404


class JobNotDone(RequestError):
    """A job's result is not there yet."""

    code, status = "JOB_NOT_DONE", 409


class JobsUnavailable(RequestError):
    """This server keeps no jobs, or cannot at the moment."""

    code, status = "JOBS_UNAVAILABLE", 503


class JobsNotOpen(JobsUnavailable):
    """The database of jobs does not answer yet: it is asked again every few seconds."""


class Unauthorized(RequestError):
    """No key, or none that this server knows."""

    code, status = "UNAUTHORIZED", 401


class RateLimited(RequestError):
    """More requests than OCR_RATE_LIMIT from one key or address."""

    code, status = "RATE_LIMITED", 429

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Busy(RequestError):
    """More requests, images or bytes are in work than the server's limits allow."""

    code, status = "BUSY", 503

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UploadTimedOut(RequestError):
    """The request was not received within OCR_UPLOAD_TIMEOUT_S."""

    code, status = "UPLOAD_TIMEOUT", 408


class TimedOut(RequestError):
    """The request took longer than OCR_TIMEOUT_S."""

    code, status = "TIMEOUT", 504


class SourceError(OcrError):
    """One picture cannot be had from where the request says it is."""


class NotBase64(SourceError):
    """Neither a URL nor a data URI nor base64."""

    code, status = "NOT_BASE64", 400


class UrlForbidden(SourceError):
    """A scheme or an address that this server does not fetch from."""

    code, status = "URL_FORBIDDEN", 403


class UrlUnreachable(SourceError):
    """The host did not answer with a picture."""

    code, status = "URL_UNREACHABLE", 502


class FileUnreadable(SourceError):
    """A file that the command line names is not there, or may not be read."""

    code, status = "FILE_UNREADABLE", 404


class PictureError(OcrError):
    """One picture's bytes cannot be made into pixels."""


class NotAnImage(PictureError):
    """The bytes are of no picture format that is read here."""

    code, status = "NOT_AN_IMAGE", 415


class ImageDamaged(PictureError):
    """A known format, but broken or cut off."""

    code, status = "IMAGE_DAMAGED", 422


class PdfEncrypted(PictureError):
    """A PDF that opens with a password only."""

    code, status = "PDF_ENCRYPTED", 422


class NoPages(PictureError):
    """A document without a page."""

    code, status = "NO_PAGES", 422


class PagesOutOfRange(PictureError):
    """Of the pages that were asked for the document has none."""

    code, status = "PAGES_OUT_OF_RANGE", 422


class ImageTooLarge(PictureError):
    """More bytes, pixels or pages than the limits allow."""

    code, status = "IMAGE_TOO_LARGE", 413


class ModelError(OcrError):
    """A model cannot be used."""


class ModelMissing(ModelError):
    """A model, or a file of it, is not where it is expected."""

    code = "MODEL_MISSING"


class ModelDamaged(ModelError):
    """A model's files are not what they should be: cut off, altered, or of another model."""

    code = "MODEL_DAMAGED"


class ModelUnreachable(ModelError):
    """A model cannot be had from where it is published."""

    code, status = "MODEL_UNREACHABLE", 502


class DiskFull(OcrError):
    """A model or a job does not fit on the disk, or into the quota, where it should go."""

    code, status = "DISK_FULL", 507


class ServerUnreachable(OcrError):
    """No server answers at the client's URL, or none that speaks HTTP."""

    code, status = "SERVER_UNREACHABLE", 502


class DeviceUnavailable(OcrError):
    """The device asked for cannot run the networks."""

    code = "DEVICE_UNAVAILABLE"


class InferenceFailed(OcrError):
    """A network failed on one picture."""

    code = "INFERENCE_FAILED"
