"""The manifest for KubeRay: valid pods, in step with bulk.py, the image and the Ray that is pinned.

KubeRay's own schema is not part of this project: of what is around the pods only the fields are
looked at that something else here depends on.
"""

import copy
import re
import shlex
import tomllib
from typing import Any

import pytest
import yaml
from kubernetes_validate import ValidationError, validate
from packaging.requirements import Requirement
from packaging.version import Version

import bulk
from ocr import __version__
from tests.conftest import ROOT
from tests.test_kubernetes import VERSIONS

RAY = ROOT / "deploy" / "ray"
DOCKERFILE = (RAY / "Dockerfile").read_text("utf-8")
GPU = "nvidia.com/gpu"

Document = dict[str, Any]


@pytest.fixture
def job() -> Document:
    document: Document = yaml.safe_load((RAY / "rayjob.yaml").read_text("utf-8"))
    return document


@pytest.fixture
def head(job: Document) -> Document:
    group: Document = job["spec"]["rayClusterSpec"]["headGroupSpec"]
    return group


@pytest.fixture
def workers(job: Document) -> Document:
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert isinstance(group, dict)
    return group


@pytest.fixture
def templates(job: Document, head: Document, workers: Document) -> dict[str, Document]:
    return {
        "submitter": job["spec"]["submitterPodTemplate"],
        "head": head["template"],
        "worker": workers["template"],
    }


def as_pod(template: Document) -> Document:
    metadata = {"name": "a-pod", **template["metadata"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def container(template: Document) -> Document:
    (only,) = template["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def asked(job: Document) -> Any:
    """What bulk.py makes of the entrypoint."""
    python, program, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert (python, program) == ("python", "/opt/ocr/bulk.py")
    return bulk._parser().parse_args(arguments)


def gibibytes(quantity: str) -> float:
    assert quantity.endswith("Gi")
    return float(quantity.removesuffix("Gi"))


def installed_ray() -> str:
    """The Ray of the image."""
    (version,) = re.findall(r"^ARG RAY=(\S+)$", DOCKERFILE, re.MULTILINE)
    return str(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_api_server_takes_the_pods(templates: dict[str, Document], version: str) -> None:
    for template in templates.values():
        validate(as_pod(template), version, strict=True)


def test_a_field_of_a_pod_with_a_typo_is_refused(head: Document) -> None:
    pod = as_pod(copy.deepcopy(head["template"]))
    pod["spec"]["terminationGracePeriod"] = pod["spec"].pop("terminationGracePeriodSeconds")
    with pytest.raises(ValidationError, match="terminationGracePeriod"):
        validate(pod, VERSIONS[-1], strict=True)


def test_bulk_understands_the_entrypoint(job: Document) -> None:
    options = asked(job)
    assert options.input.startswith("s3://") and options.output.startswith("s3://")
    assert options.address == "auto"


def test_the_gpus_asked_for_are_those_that_there_can_be(job: Document, workers: Document) -> None:
    each = int(container(workers["template"])["resources"]["limits"][GPU])
    assert asked(job).gpus == workers["maxReplicas"] * each


def test_a_worker_is_there_when_the_job_begins(job: Document, workers: Document) -> None:
    """bulk.py shares out what a worker has: without one it would end with an error."""
    assert 1 <= workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    assert job["spec"]["rayClusterSpec"]["enableInTreeAutoscaling"]


def test_stages_run_on_workers_only(head: Document, workers: Document) -> None:
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert GPU not in container(head["template"])["resources"]["limits"]
    assert not workers["rayStartParams"].keys() & {"num-cpus", "num-gpus"}  # taken from the limits


def test_a_cluster_goes_with_its_job_and_another_goes_on(job: Document) -> None:
    assert job["spec"]["shutdownAfterJobFinishes"] and job["spec"]["ttlSecondsAfterFinished"] > 0
    # One attempt more than those that fail, even if all that failed was an input.
    assert job["spec"]["backoffLimit"] >= 1
    assert job["metadata"]["name"]  # not generateName: one job at a time may write to an output


def test_all_pods_run_the_same_image(templates: dict[str, Document]) -> None:
    (image,) = {container(template)["image"] for template in templates.values()}
    assert image.endswith(f":{__version__}-cuda")
    assert image in DOCKERFILE


def test_the_ray_of_the_image_is_the_manifest_s_and_one_that_the_project_takes(
    job: Document,
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (taken,) = (
        requirement
        for requirement in map(Requirement, project["optional-dependencies"]["bulk"])
        if requirement.name == "ray"
    )
    version = job["spec"]["rayClusterSpec"]["rayVersion"]
    assert version == installed_ray()
    assert Version(version) in taken.specifier
    assert Version(version) >= Version("2.53")  # before, KubeRay's probes needed wget in the image


def test_the_image_is_that_of_the_service_with_ray_and_models(job: Document) -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(bases) == {"python:3.11-slim", "source"}
    assert 'base_image="python:3.11-slim"' in (ROOT / "service.py").read_text("utf-8")
    assert "deploy/requirements/cuda.txt" in DOCKERFILE and "[cuda,bulk]" in DOCKERFILE
    assert f"/models {asked(job).models}\n" in DOCKERFILE


@pytest.mark.parametrize(
    "source", re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
)
def test_what_the_image_is_made_of_is_there(source: str) -> None:
    for name in source.split():
        assert (ROOT / name).exists()


def test_the_image_has_all_that_the_project_is_built_of() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    copied = " ".join(re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)).split()
    assert {name.partition(".")[0] for name in setuptools["packages"]} <= set(copied)
    assert {f"{name}.py" for name in setuptools["py-modules"]} <= set(copied)


def test_pods_keep_the_restricted_security_standard(
    job: Document, templates: dict[str, Document]
) -> None:
    own = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for template in templates.values():
        pod = template["spec"]
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers"}
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 1034,
            "runAsGroup": 1034,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert container(template)["securityContext"] == own
        assert all(volume.keys() == {"name", "emptyDir"} for volume in pod["volumes"])
    assert job["spec"]["rayClusterSpec"]["autoscalerOptions"]["securityContext"] == own
    assert "USER 1034:1034" in DOCKERFILE and "useradd --uid 1034" in DOCKERFILE


def test_only_the_head_has_the_token_of_a_service_account(templates: dict[str, Document]) -> None:
    """The autoscaler, which runs there, needs it."""
    tokens = {
        name: template["spec"].get("automountServiceAccountToken", True)
        for name, template in templates.items()
    }
    assert tokens == {"submitter": False, "head": True, "worker": False}


def test_ray_asks_for_a_token(job: Document) -> None:
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}


def test_the_object_store_has_its_memory(head: Document, workers: Document) -> None:
    for group in (head, workers):
        (volume,) = (
            each["emptyDir"]
            for each in group["template"]["spec"]["volumes"]
            if each["emptyDir"].get("medium") == "Memory"
        )
        store = int(group["rayStartParams"]["object-store-memory"]) / 2**30
        limit = gibibytes(container(group["template"])["resources"]["limits"]["memory"])
        # It counts as the container's: most of that is for the processes.
        assert store < gibibytes(volume["sizeLimit"]) <= limit / 2
        mounts = {
            each["name"]: each["mountPath"] for each in container(group["template"])["volumeMounts"]
        }
        assert set(mounts.values()) == {"/tmp", "/dev/shm"}  # noqa: S108
        assert set(mounts) == {each["name"] for each in group["template"]["spec"]["volumes"]}


def test_head_and_workers_reach_the_storage(head: Document, workers: Document) -> None:
    """The driver moves the parts that workers write."""
    secrets = [
        [source["secretRef"]["name"] for source in container(group["template"])["envFrom"]]
        for group in (head, workers)
    ]
    assert secrets == [["ocr-bulk-storage"]] * 2
    said = (RAY / "rayjob.yaml").read_text("utf-8")
    assert "create secret generic ocr-bulk-storage" in said
    assert not re.search(r"(KEY_ID|ACCESS_KEY): ", said)  # no secret is written down


def test_requests_equal_limits(head: Document, workers: Document) -> None:
    for group in (head, workers):
        resources = container(group["template"])["resources"]
        assert resources["requests"] == resources["limits"]
        assert resources["limits"]["cpu"].isdecimal()


def test_the_head_is_not_moved_and_all_have_time_to_end(
    templates: dict[str, Document], head: Document
) -> None:
    annotations = head["template"]["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    for name in ("head", "worker"):
        assert templates[name]["spec"]["terminationGracePeriodSeconds"] >= 60
