"""Every model this service knows: where it comes from, its files, its digests, its settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ocr.model import DBModel, DetectionModel, RecognitionModel, SegLinkModel, Windows

Task = Literal["detection", "recognition"]


@dataclass(frozen=True)
class WheelFile:
    """A file inside an installed package, and the SHA-256 of its bytes."""

    package: str
    version: str
    file: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


@dataclass(frozen=True)
class HubModel:
    """A model on the ModelScope hub.

    `files` are those that are needed; `configuration` is what its configuration.json must say, as
    {"dotted.key": value}, None standing for a key that is not there. `vocabulary` is the number of
    lines of its vocab.txt, the first of which is class `first_class`.
    """

    model_id: str
    revision: str
    files: tuple[str, ...]
    configuration: Mapping[str, Any] = field(default_factory=dict)
    vocabulary: int = 0
    first_class: int = 1

    def __str__(self) -> str:
        return f"{self.model_id} {self.revision}"


@dataclass(frozen=True)
class Entry:
    """One model: `name` is its version in the model store."""

    name: str
    origin: WheelFile | HubModel
    licence: str
    model: DetectionModel | RecognitionModel

    @property
    def task(self) -> Task:
        return self.model.task

    @property
    def tag(self) -> str:
        """The model's name in the store, as `ocr-detection:ppocr-v6-small`."""
        return f"ocr-{self.task}:{self.name}"


@dataclass(frozen=True)
class Pair:
    """A detection and a recognition model that work together."""

    detection: Entry
    recognition: Entry


_PPOCR_DETECTION = Entry(
    name="ppocr-v6-small",
    origin=WheelFile(
        "rapidocr",
        "3.10.0",
        "rapidocr/models/PP-OCRv6_det_small.onnx",
        "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    ),
    licence="Apache-2.0",
    model=DBModel(
        name="ppocr-v6-small",
        network="ppocr-v6-detection",
        half=True,
        architecture="db",
        multiple=32,
        short_side=736,
        long_side=2000,
        threshold=0.3,
        box_threshold=0.5,
        unclip_ratio=1.5,
        max_candidates=4000,  # its publishers' 1,000 would lose lines of a dense page
    ),
)

_PPOCR_RECOGNITION = Entry(
    name="ppocr-v6-small",
    origin=WheelFile(
        "rapidocr",
        "3.10.0",
        "rapidocr/models/PP-OCRv6_rec_small.onnx",
        "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
    ),
    licence="Apache-2.0",
    model=RecognitionModel(
        name="ppocr-v6-small",
        network="ppocr-v6-recognition",
        half=True,
        architecture="ctc",
        height=48,
        min_width=160,
        width_step=32,
        max_width=2560,
        stride=8,
    ),
)


def _seglink(name: str, level: str) -> Entry:
    checkpoint = "tf_ckpts/checkpoint-80000"
    return Entry(
        name=name,
        origin=HubModel(
            f"iic/cv_resnet18_ocr-detection-{level}-level_damo",
            "master",
            ("configuration.json", f"{checkpoint}.index", f"{checkpoint}.data-00000-of-00001"),
            {"model": None},
        ),
        licence="Apache-2.0",
        model=SegLinkModel(
            name=name,
            network="seglink",
            architecture="seglink",
            multiple=128,
            resize="long",
            fit="pad",
            short_side=512,
            long_side=1024,
            small_text=8,  # the finest of the six levels is for lines of 6 pixels
            readable_text=16,
            node_threshold=0.4,
            link_threshold=0.6,
        ),
    )


def _dbnet(backbone: str) -> Entry:
    name = f"dbnet-{backbone}"
    return Entry(
        name=name,
        origin=HubModel(
            f"iic/cv_{backbone}_ocr-detection-db-line-level_damo",
            "master",
            ("configuration.json", "pytorch_model.pt"),
            {
                "model.model_type": "DBNet",
                "model.backbone": backbone,
                "model.inference_kwargs.image_short_side": 736,
                "model.inference_kwargs.thresh": 0.2,
            },
        ),
        licence="Apache-2.0",
        model=DBModel(
            name=name,
            network=name,
            architecture="db",
            multiple=32,
            resize="short",
            short_side=736,
            long_side=2000,
            threshold=0.2,
            box_threshold=0.3,
            unclip_ratio=1.5,
            max_candidates=1000,
            dilate=False,
            whole_pixels=True,
        ),
    )


def _convnext(domain: str) -> Entry:
    name = f"convnext-{domain}"
    return Entry(
        name=name,
        origin=_recogniser(
            f"iic/cv_convnextTiny_ocr-recognition-{domain}_damo", "v2.3.0", "ConvNextViT", 804, True
        ),
        licence="Apache-2.0",
        model=RecognitionModel(
            name=name,
            network="convnext-vit",
            architecture="ctc",
            height=32,
            min_width=804,
            width_step=804,
            max_width=804,
            stride=4,
            padding=0,
            windows=Windows(width=300, count=3, advance=252, trim=6),
        ),
    )


def _one_field(name: str, network: str, origin: HubModel) -> Entry:
    """A recogniser that is shown every line in a field of 640 pixels."""
    return Entry(
        name=name,
        origin=origin,
        licence="Apache-2.0",
        model=RecognitionModel(
            name=name,
            network=network,
            architecture="ctc",
            height=32,
            min_width=640,
            width_step=640,
            max_width=640,
            stride=4,
            padding=0,
        ),
    )


def _recogniser(
    model_id: str, revision: str, recogniser: str, width: int, chunks: bool
) -> HubModel:
    first_class = 1 if recogniser == "CRNN" else 2
    return HubModel(
        model_id,
        revision,
        ("configuration.json", "pytorch_model.pt", "vocab.txt"),
        {
            "model.recognizer": recogniser,
            "model.inference_kwargs.img_height": 32,
            "model.inference_kwargs.img_width": width,
            "model.inference_kwargs.do_chunking": chunks,
        },
        vocabulary=7644 - first_class,
        first_class=first_class,
    )


ENTRIES = (
    _PPOCR_DETECTION,
    _seglink("seglink-line", "line"),
    _seglink("seglink-word", "word"),
    _dbnet("resnet18"),
    _dbnet("proxylessnas"),
    _PPOCR_RECOGNITION,
    *(_convnext(d) for d in ("general", "document", "scene", "handwritten", "licenseplate")),
    _one_field(
        "crnn-general",
        "crnn",
        _recogniser("iic/cv_crnn_ocr-recognition-general_damo", "v2.2.2", "CRNN", 640, False),
    ),
    _one_field(
        "lightweight-edge-general",
        "lightweight-edge",
        _recogniser(  # the id is spelt so
            "iic/cv_LightweightEdge_ocr-recognitoin-general_damo",
            "v2.4.1",
            "LightweightEdge",
            640,
            False,
        ),
    ),
)

DETECTION = {entry.name: entry for entry in ENTRIES if entry.task == "detection"}
RECOGNITION = {entry.name: entry for entry in ENTRIES if entry.task == "recognition"}

PRESETS = {
    "ppocr": Pair(_PPOCR_DETECTION, _PPOCR_RECOGNITION),
    "modelscope": Pair(DETECTION["seglink-line"], RECOGNITION["convnext-general"]),
    "modelscope-db": Pair(DETECTION["dbnet-resnet18"], RECOGNITION["convnext-general"]),
}
