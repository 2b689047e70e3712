"""The Kubernetes manifests: valid, consistent, and in step with the service's settings."""

import copy
import ipaddress
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import ValidationError, validate

from ocr import __version__
from ocr.settings import Settings
from ocr.sources import is_public
from tests.conftest import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.30", "1.37")  # the oldest that knows all fields, and a recent one
PORT = 9533
QUEUE_METRIC = "ocr_requests_in_work"
MANIFESTS = [
    path
    for folder in ("base", "components/ingress")
    for path in sorted((KUBERNETES / folder).iterdir())
    if path.name != "kustomization.yaml"
]

Document = dict[str, Any]


class Rendered:
    """The documents that one overlay gives, by kind: there is one of each."""

    def __init__(self, text: str) -> None:
        self.documents: list[Document] = list(yaml.safe_load_all(text))
        self.by_kind = {document["kind"]: document for document in self.documents}
        assert len(self.by_kind) == len(self.documents)

    def spec(self, kind: str) -> Document:
        spec: Document = self.by_kind[kind]["spec"]
        return spec

    def name(self, kind: str) -> str:
        name: str = self.by_kind[kind]["metadata"]["name"]
        return name

    @property
    def template(self) -> Document:
        template: Document = self.spec("Deployment")["template"]
        return template

    @property
    def pod(self) -> Document:
        pod: Document = self.template["spec"]
        return pod

    @property
    def container(self) -> Document:
        (container,) = self.pod["containers"]
        assert isinstance(container, dict)
        return container

    @property
    def settings(self) -> Settings:
        """What the service makes of the ConfigMap; a name or a value it does not know raises."""
        data = self.by_kind["ConfigMap"]["data"]
        assert all(name.startswith("OCR_") for name in data)
        return Settings(**{name.removeprefix("OCR_").lower(): data[name] for name in data})


@cache
def render(folder: Path) -> Rendered:
    if shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    elif shutil.which("kustomize"):
        command = ["kustomize", "build"]
    else:
        pytest.skip("neither kubectl nor kustomize is on PATH: the manifests are not rendered")
    done = subprocess.run([*command, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Rendered(done.stdout)


def readme_blocks() -> list[Document]:
    blocks = re.findall(r"```yaml\n(.*?)```", (KUBERNETES / "README.md").read_text(), re.DOTALL)
    return [{"kind": "", **yaml.safe_load(block)} for block in blocks]


@pytest.fixture(params=["cpu", "gpu"])
def overlay(request: pytest.FixtureRequest) -> Rendered:
    return render(KUBERNETES / "overlays" / request.param)


@pytest.fixture
def cpu() -> Rendered:
    return render(KUBERNETES / "overlays" / "cpu")


@pytest.fixture
def gpu() -> Rendered:
    return render(KUBERNETES / "overlays" / "gpu")


@pytest.fixture
def exposed(tmp_path: Path) -> Rendered:
    """The overlay that the README shows, with the Ingress."""
    shutil.copytree(KUBERNETES, tmp_path, dirs_exist_ok=True)
    (own,) = (block for block in readme_blocks() if block["kind"] == "Kustomization")
    folder = tmp_path / "overlays" / "ours"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(own))
    return render(folder)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_api_server_takes_every_document(overlay: Rendered, version: str) -> None:
    for document in overlay.documents:
        assert validate(document, version, strict=True) == version


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_is_valid_before_kustomize_sees_it(manifest: Path) -> None:
    for version in VERSIONS:
        validate(yaml.safe_load(manifest.read_text()), version, strict=True)


def test_a_field_with_a_typo_is_refused(cpu: Rendered) -> None:
    misspelt = copy.deepcopy(cpu)
    misspelt.container["readinesProbe"] = misspelt.container.pop("readinessProbe")
    with pytest.raises(ValidationError, match="readinesProbe"):
        validate(misspelt.by_kind["Deployment"], VERSIONS[-1], strict=True)


def test_selectors_select_the_pods(overlay: Rendered) -> None:
    deployment = overlay.spec("Deployment")
    selectors = [
        deployment["selector"]["matchLabels"],
        overlay.spec("Service")["selector"],
        overlay.spec("NetworkPolicy")["podSelector"]["matchLabels"],
        overlay.spec("PodDisruptionBudget")["selector"]["matchLabels"],
        *(
            constraint["labelSelector"]["matchLabels"]
            for constraint in overlay.pod["topologySpreadConstraints"]
        ),
    ]
    labels = overlay.template["metadata"]["labels"]
    for selector in selectors:
        assert selector and selector.items() <= labels.items()


def test_the_overlay_of_the_readme_says_what_is_to_be_changed(exposed: Rendered) -> None:
    for document in exposed.documents:
        validate(document, VERSIONS[-1], strict=True)
    assert exposed.settings.min_confidence == 0.6
    assert exposed.container["image"].startswith("registry.example.com/ocr-service:")
    (rule,), (tls,) = (exposed.spec("Ingress")[part] for part in ("rules", "tls"))
    assert rule["host"] == tls["hosts"][0] == "ocr.ours.example"


def test_what_is_referred_to_exists(exposed: Rendered) -> None:
    target = exposed.spec("HorizontalPodAutoscaler")["scaleTargetRef"]
    deployment = exposed.by_kind["Deployment"]
    assert (target["apiVersion"], target["kind"]) == (deployment["apiVersion"], "Deployment")
    assert target["name"] == exposed.name("Deployment")
    assert exposed.pod["serviceAccountName"] == exposed.name("ServiceAccount")
    (source,) = exposed.container["envFrom"]
    assert source["configMapRef"]["name"] == exposed.name("ConfigMap")

    (container_port,) = exposed.container["ports"]
    (service_port,) = exposed.spec("Service")["ports"]
    assert service_port["targetPort"] == container_port["name"]
    backends = [
        path["backend"]["service"]
        for rule in exposed.spec("Ingress")["rules"]
        for path in rule["http"]["paths"]
    ]
    for backend in backends:
        assert backend["name"] == exposed.name("Service")
        assert backend["port"]["name"] == service_port["name"]


def test_the_image_tags_are_the_project_s_version(cpu: Rendered, gpu: Rendered) -> None:
    assert cpu.container["image"].endswith(f":{__version__}-cpu")
    assert gpu.container["image"].endswith(f":{__version__}-cuda")


def test_probes_ask_the_server_itself(overlay: Rendered) -> None:
    assert overlay.container["ports"] == [{"name": "http", "containerPort": PORT}]
    for probe, path in (("startup", "/readyz"), ("readiness", "/readyz"), ("liveness", "/livez")):
        asked = overlay.container[f"{probe}Probe"]
        assert asked["httpGet"] == {"path": path, "port": "http"}
        assert asked["timeoutSeconds"] > 5  # BentoML's /readyz gives its runners that long


def test_a_request_in_work_is_answered_before_its_pod_is_killed(overlay: Rendered) -> None:
    pause = overlay.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert overlay.pod["terminationGracePeriodSeconds"] > pause + overlay.settings.timeout_s


def test_threads_are_as_many_as_the_pod_s_cores(overlay: Rendered) -> None:
    """The server counts its cores by the CPU limit: without one it takes all of the node's."""
    resources = overlay.container["resources"]
    for resource in ("cpu", "memory"):
        assert resources["requests"][resource] == resources["limits"][resource]
    assert resources["limits"]["cpu"].isdecimal()


def test_pods_keep_the_restricted_security_standard(overlay: Rendered) -> None:
    pod, container = overlay.pod, overlay.container
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers"}
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1034,
        "runAsGroup": 1034,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    (volume,) = pod["volumes"]
    assert volume.keys() == {"name", "emptyDir"}
    (mount,) = container["volumeMounts"]
    assert mount == {"name": volume["name"], "mountPath": "/tmp"}  # noqa: S108
    # So that the cluster autoscaler may take the node away.
    assert volume["name"] in overlay.template["metadata"]["annotations"].values()


def test_no_port_but_the_server_s_is_open(overlay: Rendered) -> None:
    policy = overlay.spec("NetworkPolicy")
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": PORT}]


def test_the_pods_reach_the_dns_of_the_cluster(overlay: Rendered) -> None:
    """kustomize adds labels to a policy's peers too, if told to include selectors."""
    dns = overlay.spec("NetworkPolicy")["egress"][0]
    assert dns["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "10.96.0.1", "100.64.0.1",
     "127.0.0.1", "169.254.169.254", "172.31.255.255", "192.168.1.1", "224.0.0.1", "0.0.0.0",
     "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00:ec2::254", "fe80::1", "ff02::1",
     "2001::1", "2002:a00:1::"],
)  # fmt: skip
def test_the_network_lets_through_the_urls_that_the_server_fetches(
    cpu: Rendered, address: str
) -> None:
    target = ipaddress.ip_address(address)
    dns, web = cpu.spec("NetworkPolicy")["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert {port["port"] for port in web["ports"]} == {80, 443}
    blocks = [peer["ipBlock"] for peer in web["to"]]
    reached = any(
        target in ipaddress.ip_network(block["cidr"])
        and not any(target in ipaddress.ip_network(hole) for hole in block["except"])
        for block in blocks
    )
    assert reached == is_public(target)


def test_pods_are_scaled_by_their_queue(overlay: Rendered) -> None:
    assert "replicas" not in overlay.spec("Deployment")  # each apply would set them back
    names = [
        metric["pods"]["metric"]["name"]
        for metric in overlay.spec("HorizontalPodAutoscaler")["metrics"]
        if metric["type"] == "Pods"
    ]
    assert names == [QUEUE_METRIC]
    (adapter,) = (block["rules"]["custom"] for block in readme_blocks() if "rules" in block)
    assert adapter[0]["seriesQuery"].startswith(QUEUE_METRIC + "{")


def test_a_rollout_on_cpus_keeps_capacity_and_one_on_gpus_needs_no_spare_one(
    cpu: Rendered, gpu: Rendered
) -> None:
    assert cpu.spec("Deployment")["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert gpu.spec("Deployment")["strategy"]["rollingUpdate"]["maxSurge"] == 0
    assert gpu.container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    gpu_metrics = gpu.spec("HorizontalPodAutoscaler")["metrics"]
    assert [metric["type"] for metric in gpu_metrics] == ["Pods"]


def test_the_ingress_takes_and_waits_for_what_the_service_does(exposed: Rendered) -> None:
    annotations = exposed.by_kind["Ingress"]["metadata"]["annotations"]
    prefix = "nginx.ingress.kubernetes.io/"
    size = annotations[f"{prefix}proxy-body-size"]
    assert size.endswith("m")
    assert int(size[:-1]) * 2**20 >= exposed.settings.max_request_bytes
    assert int(annotations[f"{prefix}proxy-read-timeout"]) > exposed.settings.timeout_s


def test_the_ingress_keeps_metrics_and_probes_inside(exposed: Rendered) -> None:
    for rule in exposed.spec("Ingress")["rules"]:
        for path in rule["http"]["paths"]:
            assert path["path"] not in ("/metrics", "/readyz", "/livez")
            assert path["pathType"] == "Exact" or path["path"] != "/"
