import io
import os
import pickle
import random
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ocr.checkpoints import AVERAGE, read_tensorflow, read_torch, restorable
from ocr.errors import ModelDamaged, ModelError, ModelMissing
from tests import tensorflow_checkpoint as tensorflow

Tensors = dict[str, np.ndarray]

PAGE = b"<!DOCTYPE html><html><body>Not found</body></html>" * 40
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 81894888\n"


def network(layers: int = 30) -> Tensors:
    """What is wanted of a checkpoint: names with much in common, shapes of several ranks."""
    random = np.random.RandomState(5)
    found: Tensors = {"dete_0/conv_cls/bias": random.standard_normal(2).astype(np.float32)}
    for layer in range(layers):
        place = f"resnet/block{layer}/conv"
        shapes = {"weights": (3, 3, 2, layer % 4 + 1)} | dict.fromkeys(
            ("gamma", "beta", "moving_mean", "moving_variance"), (layer % 4 + 1,)
        )
        for leaf, shape in shapes.items():
            found[f"{place}/{leaf}"] = random.standard_normal(shape).astype(np.float32)
    return found


def assert_same(found: Any, wanted: Tensors) -> None:
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, name, strict=True)


def read_all(prefix: Path) -> Tensors:
    return dict(read_tensorflow(prefix))


# TensorFlow: whole checkpoints


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"block": 1},
        {"block": 400, "shards": 3},
        {"block": 400, "compress": True},
        {"block": 1 << 20, "compress": True, "shards": 2},
    ],
)
def test_a_checkpoint_is_read_however_it_is_laid_out(
    layout: dict[str, Any], tmp_path: Path
) -> None:
    tensors = tensorflow.training(network())
    tensorflow.write(tmp_path / "checkpoint-7", tensors, **layout)
    assert_same(read_tensorflow(tmp_path / "checkpoint-7"), tensors)


def test_types_and_shapes(tmp_path: Path) -> None:
    tensors: Tensors = {
        "scalar": np.array(3, np.int64),
        "none": np.zeros((0, 4), np.float32),
        "double": np.arange(6.0).reshape(1, 2, 3),
        "bytes": np.arange(5, dtype=np.uint8),
        "whole": np.array([[-1, 2]], np.int32),
        "half": np.array([0.5, np.inf], np.float16),
        "truth": np.array([True, False]),
        "名字": np.ones(1, np.float32),
    }
    tensorflow.write(tmp_path / "c", tensors)
    found = read_all(tmp_path / "c")
    assert_same(found, tensors)
    assert all(value.flags.writeable for value in found.values())


def test_a_long_text_is_decompressed(tmp_path: Path) -> None:
    """Literals and copies of all lengths and distances that snappy has."""
    random = np.random.RandomState(3)
    parts = [random.bytes(70), b"a" * 300, random.bytes(3000), b"abc" * 900, random.bytes(70_000)]
    text = b"".join([*parts, *parts[::-1]])
    entries = {b"": tensorflow.header(), b"x": tensorflow.entry(4, (5,), content=b"12345")}
    entries[b"\0slice"] = text  # not read as an entry, but decompressed with the others
    tensorflow.write_index(tmp_path / "c", entries, block=1 << 20, compress=True)
    tensorflow.data_file(tmp_path / "c").write_bytes(b"12345")
    assert read_all(tmp_path / "c")["x"].tobytes() == b"12345"


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    tensors = {"a/weights": np.ones(4, np.float32), "b/weights": np.ones(4, np.float32)}
    tensorflow.write(tmp_path / "c", tensors)
    file = tensorflow.data_file(tmp_path / "c")
    file.write_bytes(file.read_bytes()[:20] + b"spoilt......")
    found = read_tensorflow(tmp_path / "c")
    assert "b/weights" in found and len(found) == 2
    np.testing.assert_array_equal(found["a/weights"], np.ones(4))
    with pytest.raises(ModelDamaged, match=r"c\.data-00000-of-00001: b/weights: altered"):
        found["b/weights"]


# What is restored


def test_averages_and_statistics_are_restored(tmp_path: Path) -> None:
    wanted = network()
    tensorflow.write(tmp_path / "c", tensorflow.training(wanted), shards=2)
    assert_same(restorable(read_tensorflow(tmp_path / "c")), wanted)


def test_a_checkpoint_of_averages_alone_is_enough() -> None:
    wanted = network()
    trained = {name for name in wanted if "moving" not in name}
    averages = {name + AVERAGE if name in trained else name: wanted[name] for name in wanted}
    assert_same(restorable(averages), wanted)


def test_averages_of_statistics_are_not_what_is_restored() -> None:
    value = np.ones(2, np.float32)
    name = "conv/BatchNorm/moving_mean"
    assert_same(restorable({name: value, name + AVERAGE: value * 2}), {name: value})


def test_the_last_value_never_stands_in_for_an_average() -> None:
    tensors = tensorflow.training(network())
    del tensors["resnet/block3/conv/gamma" + AVERAGE]
    with pytest.raises(ModelDamaged, match="no moving average of resnet/block3/conv/gamma"):
        restorable(tensors)


# TensorFlow: what is wrong with a checkpoint


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A small checkpoint of two data files."""
    tensorflow.write(tmp_path / "c", network(2), shards=2, block=150)
    return tmp_path / "c"


def test_files_that_are_not_there_are_named(prefix: Path) -> None:
    assert_same(read_tensorflow(prefix), network(2))
    tensorflow.data_file(prefix, 1, 2).unlink()
    with pytest.raises(ModelMissing, match=r"c\.data-00001-of-00002"):
        read_tensorflow(prefix)
    tensorflow.index_file(prefix).unlink()
    with pytest.raises(ModelMissing, match=r"c\.index"):
        read_tensorflow(prefix)


@pytest.mark.parametrize("content", [b"", PAGE, POINTER, b"\0" * 500], ids=range(4))
def test_other_files_are_told_from_a_checkpoint(prefix: Path, content: bytes) -> None:
    tensorflow.data_file(prefix, 0, 2).write_bytes(content)
    with pytest.raises(ModelDamaged, match=r"c\.data-00000-of-00002"):
        read_all(prefix)
    tensorflow.index_file(prefix).write_bytes(content)
    with pytest.raises(ModelDamaged, match=r"c\.index: cut off, or not an index; it begins with"):
        read_all(prefix)


def test_an_index_is_not_read_whatever_its_size(prefix: Path) -> None:
    os.truncate(tensorflow.index_file(prefix), 1 << 40)
    with pytest.raises(ModelDamaged, match="too large"):
        read_tensorflow(prefix)


@pytest.mark.parametrize("compress", [False, True])
def test_every_altered_byte_is_noticed(compress: bool, tmp_path: Path) -> None:
    prefix = tmp_path / "c"
    tensorflow.write(prefix, network(2), block=150, compress=compress)
    for file in (tensorflow.index_file(prefix), tensorflow.data_file(prefix)):
        content = file.read_bytes()
        for place in range(len(content)):
            altered = bytearray(content)
            altered[place] ^= 1 << place % 8
            file.write_bytes(altered)
            with pytest.raises(ModelDamaged, match=file.name):
                read_all(prefix)
        file.write_bytes(content)
    assert_same(read_all(prefix), network(2))


def test_every_truncation_is_noticed(prefix: Path) -> None:
    for file in (tensorflow.index_file(prefix), tensorflow.data_file(prefix, 1, 2)):
        content = file.read_bytes()
        for length in range(len(content)):
            file.write_bytes(content[:length])
            with pytest.raises(ModelDamaged, match=file.name):
                read_all(prefix)
        file.write_bytes(content)


@pytest.mark.parametrize("compress", [False, True])
def test_nothing_escapes_when_checksums_are_right_and_contents_wrong(
    compress: bool, tmp_path: Path
) -> None:
    prefix = tmp_path / "c"
    noise = random.Random(11)
    for _ in range(500):
        tensorflow.write(
            prefix, network(2), block=600, compress=compress, spoil=lambda body: spoil(body, noise)
        )
        try:
            read_all(prefix)
        except ModelError as error:
            assert "c." in error.message


def spoil(body: bytes, noise: random.Random) -> bytes:
    """Alter, add or leave out some bytes of half the blocks."""
    altered = bytearray(body)
    for _ in range(noise.choice((0, 0, 1, 3))):
        place = noise.randrange(len(altered))
        if noise.random() < 0.1:
            del altered[place : place + noise.randrange(1, 9)]
            altered = altered or bytearray(b"\0")
        elif noise.random() < 0.3:
            altered[place:place] = bytes(noise.choices((0, 0x7F, 0xFF), k=noise.randrange(1, 9)))
        else:
            altered[place] = noise.randrange(256)
    return bytes(altered)


FLOAT = 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (tensorflow.entry(FLOAT, (1 << 60,), size=1 << 62), "cut off: it ends before x does"),
        (tensorflow.entry(FLOAT, (2,), offset=1 << 62, size=8), "cut off: it ends before x does"),
        (tensorflow.entry(FLOAT, (1 << 62, 4), content=b"1234"), "x: 4 bytes, not an array"),
        (tensorflow.entry(FLOAT, (1 << 62, 0)), "maximum"),
        (tensorflow.entry(FLOAT, (1,) * 100, content=b"1234"), "maximum"),
        (tensorflow.entry(FLOAT, (1 << 63,), size=8), "another kind"),
        (tensorflow.entry(FLOAT, (2,), shard=1, size=8), "no tensor can have"),
        (tensorflow.entry(7, (2,), size=8), "x: of TensorFlow's type 7"),
        (tensorflow.entry(14, (4,), size=8), "x: of TensorFlow's type 14"),
        (tensorflow.entry(FLOAT, (4,)) + tensorflow.part(7, b""), "x: stored in slices"),
        (tensorflow.entry(FLOAT, (2,), content=b"abcdefgh"), "x: altered"),
        (b"\x0b", "another kind"),
        (b"\xff" * 30, "no end"),
        (b"\x12\xff\xff\xff\xff\x0f", "cut off, or longer"),
        (tensorflow.part(1, b"") + tensorflow.number(5, 8), "another kind"),
        (tensorflow.number(2, 8), "another kind"),
        (b"", "x: of TensorFlow's type 0"),
    ],
)
def test_entries_that_cannot_be(entry: bytes, message: str, tmp_path: Path) -> None:
    tensorflow.write_index(tmp_path / "c", {b"": tensorflow.header(), b"x": entry})
    tensorflow.data_file(tmp_path / "c").write_bytes(b"12345678")
    with pytest.raises(ModelDamaged, match=message):
        read_all(tmp_path / "c")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "not the index of a checkpoint"),
        ({b"": tensorflow.header(shards=0)}, "not the index of a checkpoint"),
        ({b"": tensorflow.header(endianness=1)}, "big-endian"),
        ({b"": tensorflow.header(oldest_reader=2)}, "later versions"),
        ({b"": tensorflow.header(), b"\xff": tensorflow.entry(FLOAT, ())}, "not UTF-8"),
        ({b"": tensorflow.header(), b"x" * 5000: b""}, "no tensor can have"),
    ],
)
def test_tables_of_something_else(
    entries: dict[bytes, bytes], message: str, tmp_path: Path
) -> None:
    tensorflow.write_index(tmp_path / "c", entries)
    with pytest.raises(ModelDamaged, match=message):
        read_tensorflow(tmp_path / "c")


def test_a_compressed_block_cannot_claim_any_size(tmp_path: Path) -> None:
    huge = tensorflow.varint(1 << 40) + b"\0a" + b"\xfe\1\0" * 20
    tensors = network(2)
    tensorflow.write(tmp_path / "c", tensors, compress=True, spoil=lambda body: huge)
    with pytest.raises(ModelDamaged, match="larger than can be"):
        read_tensorflow(tmp_path / "c")


# torch


def state(layers: int = 3) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in network(layers).items()}


def test_a_saved_state_is_read(tmp_path: Path) -> None:
    counter = {"norm.num_batches_tracked": torch.tensor(7)}
    torch.save(OrderedDict(state() | counter), tmp_path / "model.pt")
    wanted = network(3) | {"norm.num_batches_tracked": np.array(7)}
    assert_same(read_torch(tmp_path / "model.pt"), wanted)


def test_a_file_of_an_old_torch_is_read(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "model.pt", _use_new_zipfile_serialization=False)
    assert_same(read_torch(tmp_path / "model.pt"), network(3))


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_what_a_training_script_saved_is_unwrapped(wrapper: str, tmp_path: Path) -> None:
    torch.save({wrapper: state(), "epoch": 3, "optimizer": {"state": {}}}, tmp_path / "model.pt")
    assert_same(read_torch(tmp_path / "model.pt"), network(3))


@pytest.mark.parametrize(
    "prefix",
    ["module.", "recognizer.", "detector.", "recognizer.module.", "module.recognizer.", "model."],
)
def test_what_wrapping_modules_put_before_names_is_taken_off(prefix: str, tmp_path: Path) -> None:
    tensor = torch.ones(2)
    named = {prefix + "conv.module.weight": tensor, prefix + "a_recognizer.bias": tensor}
    torch.save(named, tmp_path / "model.pt")
    assert set(read_torch(tmp_path / "model.pt")) == {"conv.module.weight", "a_recognizer.bias"}


def test_parameters_are_read_like_tensors(tmp_path: Path) -> None:
    torch.save({"weight": torch.nn.Parameter(torch.ones(2))}, tmp_path / "model.pt")
    assert_same(read_torch(tmp_path / "model.pt"), {"weight": np.ones(2, np.float32)})


def test_a_checkpoint_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"model\.pt"):
        read_torch(tmp_path / "model.pt")


class Intruder:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, ("intruded",)


@pytest.mark.parametrize(
    "saved",
    [
        {"weight": torch.ones(2), "intruder": Intruder()},
        {"weight": torch.ones(2), "name": "conv"},
        {"weight": torch.ones(2, dtype=torch.bfloat16)},
        {"weight": torch.ones(2), "module.weight": torch.ones(2)},
        [torch.ones(2)],
        torch.ones(2),
        3,
    ],
    ids=["code", "text", "bfloat16", "twice", "list", "tensor", "number"],
)
def test_other_contents_are_refused(
    saved: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(saved, "model.pt")
    with pytest.raises(ModelDamaged, match=r"model\.pt"):
        read_torch(Path("model.pt"))
    assert not Path("intruded").exists()


@pytest.mark.parametrize(
    "content",
    [b"", PAGE, POINTER, b"\0" * 500, pickle.dumps({"a": 1}, protocol=2), b"PK\3\4" + b"\0" * 100],
    ids=range(6),
)
def test_other_files_are_told_from_one_of_torch(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(ModelDamaged, match=r"model\.pt"):
        read_torch(tmp_path / "model.pt")


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "<xml/>")
    (tmp_path / "model.pt").write_bytes(buffer.getvalue())
    with pytest.raises(ModelDamaged, match=r"model\.pt"):
        read_torch(tmp_path / "model.pt")


def test_altered_and_cut_off_files_of_torch_are_noticed(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    torch.save(state(), file)
    content = file.read_bytes()
    noise = random.Random(13)
    for _ in range(300):
        altered = bytearray(content)
        altered[noise.randrange(len(altered))] ^= 1 << noise.randrange(8)
        file.write_bytes(altered)
        try:
            found = read_torch(file)
        except ModelDamaged:
            continue
        assert_same(found, network(3))  # it was in what an archive has besides its contents
    for length in noise.choices(range(len(content)), k=100):
        file.write_bytes(content[:length])
        with pytest.raises(ModelDamaged, match=r"model\.pt"):
            read_torch(file)


def test_an_entry_marked_as_a_folder_is_no_tensor(tmp_path: Path) -> None:
    """Its checksum is right, but torch would not read it."""
    file = tmp_path / "model.pt"
    torch.save(state(1), file)
    with zipfile.ZipFile(file) as archive:
        contents = [(entry, archive.read(entry)) for entry in archive.infolist()]
    contents[-4][0].external_attr |= 0x10
    with zipfile.ZipFile(file, "w") as archive:
        for entry, content in contents:
            archive.writestr(entry, content)
    with pytest.raises(ModelDamaged, match=r"model\.pt"):
        read_torch(file)


@pytest.mark.filterwarnings("ignore:Defining your `__torch_function__`")  # altered names of types
def test_nothing_else_escapes_from_files_of_an_old_torch(tmp_path: Path) -> None:
    """They have no checksums."""
    file = tmp_path / "model.pt"
    torch.save(state(), file, _use_new_zipfile_serialization=False)
    content = file.read_bytes()
    noise = random.Random(17)
    for _ in range(300):
        altered = bytearray(content)
        altered[noise.randrange(len(altered))] = noise.randrange(256)
        file.write_bytes(altered[: noise.choice((len(altered), noise.randrange(len(altered))))])
        try:
            read_torch(file)
        except ModelDamaged as error:
            assert "model.pt" in error.message
