"""The files in deploy/: what they name is there, and the flags that they give exist. Nothing is started."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from longctx.cli.serve import serve

DEPLOY = Path(__file__).parents[1] / "deploy"
COMPOSE = ("compose.yaml", "compose-two-servers.yaml")
WORKLOADS = ("Deployment", "StatefulSet")


def compose(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8")))


def objects() -> dict[tuple[str, str], dict[str, Any]]:
    every = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
    return {(each["kind"], each["metadata"]["name"]): each for each in every}


def containers() -> list[dict[str, Any]]:
    workloads = [each for (kind, _), each in objects().items() if kind in WORKLOADS]
    return [*chain.from_iterable(each["spec"]["template"]["spec"]["containers"] for each in workloads)]


def serve_flags() -> set[str]:
    import typer

    app = typer.Typer()
    app.command()(serve)
    return {name for parameter in get_command(app).params for name in parameter.opts}


@pytest.mark.parametrize("name", COMPOSE)
def test_compose_files_name_what_they_have_and_flags_that_exist(name: str) -> None:
    file = compose(name)
    services, command = file["services"], file["services"]["longctx"]["command"]
    assert command[:2] == ["longctx", "serve"]
    assert {flag.partition("=")[0] for flag in command[2:]} <= serve_flags()
    assert all(services["longctx"]["depends_on"].keys() <= services.keys() for _ in services)
    [host] = re.findall(r"--model=openai:http://(\w+):8000/v1", " ".join(command))
    assert host in services
    named = [each.partition(":")[0] for service in services.values() for each in service.get("volumes", ())]
    assert {each for each in named if re.fullmatch(r"\w+", each)} == set(file["volumes"])


def test_haproxy_gets_the_addresses_of_both_servers() -> None:
    wanted = set(re.findall(r'"\$\{(\w+)\}"', (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")))
    services = compose("compose-two-servers.yaml")["services"]
    given = services["models"]["environment"]
    assert given.keys() == wanted
    addresses = [services[name]["networks"]["models"]["ipv4_address"] for name in ("first", "second")]
    assert [given["FIRST"], given["SECOND"]] == [f"{address}:8000" for address in addresses]
    [haproxy] = [each for each in containers() if each["name"] == "haproxy"]
    inside = {each["name"]: each["value"] for each in haproxy["env"]}
    assert inside.keys() == wanted
    for name in ("FIRST", "SECOND"):
        host, _, port = inside[name].partition(":")
        assert objects()["Service", host]["spec"]["ports"][0]["port"] == int(port)


def test_kubernetes_services_reach_containers_and_claims_and_flags_exist() -> None:
    every = objects()
    for (kind, _), each in every.items():
        if kind == "Service":
            selector = {key: value for key, value in each["spec"]["selector"].items() if "/" not in key}
            [target] = [
                workload
                for (kind, _), workload in every.items()
                if kind in WORKLOADS and workload["spec"]["template"]["metadata"]["labels"] == selector
            ]
            ports = target["spec"]["template"]["spec"]["containers"][0]["ports"]
            assert {port["targetPort"] for port in each["spec"]["ports"]} <= {port["name"] for port in ports}
        if kind in WORKLOADS:
            spec = each["spec"]["template"]["spec"]
            assert each["spec"]["selector"]["matchLabels"] == each["spec"]["template"]["metadata"]["labels"]
            mounts = {mount["name"] for container in spec["containers"] for mount in container["volumeMounts"]}
            assert mounts == {volume["name"] for volume in spec["volumes"]}
    [longctx] = [each for each in containers() if each["name"] == "longctx"]
    assert {flag.partition("=")[0] for flag in longctx["args"][2:]} <= serve_flags()
