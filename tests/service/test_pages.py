"""The calls beside POST /ocr_system, and what a service says that cannot start."""

import re
from pathlib import Path

import pytest

from tests.service.served import Served, serve


def test_the_root_is_the_page_and_asks_nobody_else(served: Served) -> None:
    answer = served.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assets = re.findall(r'(?:src|href)="(page/[^"]+)"', answer.text)
    assert assets
    for asset in assets:
        found = served.get(f"/{asset}")
        assert found.status_code == 200, asset
        assert found.headers["x-content-type-options"] == "nosniff"
    assert served.get("/page/../app.py").status_code == 404


def test_the_documentation_needs_nobody_else(served: Served) -> None:
    page = served.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("<!--", "")
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        if not asset.startswith("data:"):
            assert served.get(f"/{asset}").status_code == 200, asset


def test_the_description_names_every_call_with_examples(served: Served) -> None:
    spec = served.get("/docs.json").json()
    paths = {"/ocr_system", "/predict/ocr_system", "/capabilities", "/health", "/ocr", "/jobs"}
    assert paths <= set(spec["paths"])
    assert "format" in {each["name"] for each in spec["paths"]["/ocr"]["post"]["parameters"]}
    assert {"Answer", "AnswerPage", "Job"} <= set(spec["components"]["schemas"])
    post = spec["paths"]["/ocr_system"]["post"]
    example = post["requestBody"]["content"]["application/json"]["example"]
    answer = served.post(example).json()
    assert answer["results"][0][0]["text"] == "OCR 2026"
    assert "//" not in spec["info"]["description"]
    assert {"200", "400", "413", "422", "503", "504"} <= set(post["responses"])
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(answer["properties"]) == {"msg", "results", "status", "errors"}


def test_capabilities_say_what_runs(served: Served) -> None:
    answer = served.get("/capabilities").json()
    assert answer["device"] == "cpu"
    assert answer["detection"] == {
        "model": "ocr-detection:ppocr-v6-small",
        "provider": "CPUExecutionProvider",
    }
    assert answer["recognition"]["model"] == "ocr-recognition:ppocr-v6-small"
    assert answer["limits"]["max_images"] == 64
    assert "PNG" in answer["formats"]["input"]


def test_health(served: Served) -> None:
    assert served.get("/health").json() == {"status": "ok"}
    inference = served.get("/health/inference")
    assert inference.status_code == 200
    assert inference.json()["status"] == "ok"
    for path in ("/livez", "/readyz"):
        assert served.get(path).status_code == 200


def test_metrics_count_what_the_runners_did(served: Served) -> None:
    served.get("/health/inference")
    metrics = served.get("/metrics").text
    counts = re.findall(r'adaptive_batch_size_count\{method_name="(\w+)".*\} ([\d.]+)', metrics)
    assert {name for name, count in counts if float(count) >= 1} == {"detect", "recognise"}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/nothing", 404, "NOT_FOUND"), ("/ocr_system", 405, "METHOD_NOT_ALLOWED")],
)
def test_errors_of_the_framework_have_our_shape(
    served: Served, path: str, status: int, code: str
) -> None:
    answer = served.get(path)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code


def test_a_store_without_models_is_an_error_at_start(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="run `python import_models"),
        serve(tmp_path / "empty"),
    ):
        pass


def test_a_device_that_is_not_there_is_an_error_at_start(store: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("torch finds a GPU")
    with (
        pytest.raises(RuntimeError, match="device 'cuda' was asked for"),
        serve(store, device="cuda"),
    ):
        pass
