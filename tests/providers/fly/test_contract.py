"""The stand-in compares all that is said with the vendor's description."""

import json
from typing import Any

import httpx
import pytest

from tests.providers.fly.house import config
from tests.providers.fly.standin import Standin
from tests.providers.fly.standin.contract import FOLDER, Contract

CONTRACT = Contract.find()
pytestmark = pytest.mark.skipif(CONTRACT is None, reason=f"the vendor's description is not in {FOLDER.name} here")
MACHINES = "/apps/voice-bot/machines"


@pytest.fixture
def contract() -> Contract:
    assert CONTRACT is not None
    return CONTRACT


def test_what_the_client_sends_is_as_described(contract: Contract) -> None:
    whole = {"name": "bot-1", "region": "fra", "lease_ttl": 30, "skip_service_registration": True}
    body = {**whole, "min_secrets_version": 3, "config": config(udp=40000).wire()}
    assert contract.request("POST", MACHINES, {}, json.loads(json.dumps(body))) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"config": {"image": "i", "servicez": [1]}}, "servicez"),
        ({"config": {"image": "i", "services": [{"protocol": "sctp", "internal_port": 1}]}}, "sctp"),
        ({"config": {"image": "i", "env": {"PORT": 7860}}}, "env.PORT"),
        ({"config": {"image": "i", "stop_config": {"timeout": 30}}}, "timeout"),
        ({"config": {"image": "i", "restart": {"policy": "maybe"}}}, "maybe"),
        ({"config": {}}, "config.image"),
        ({"name": "bot-1"}, "config"),
        ({"config": {"image": "i", "guest": {"cpus": True}}}, "cpus"),
        ([], "list"),
    ],
)
def test_a_request_that_is_not(contract: Contract, wrong: Any, said: str) -> None:
    assert said in " ".join(contract.request("POST", MACHINES, {}, wrong))


def test_parameters_that_are_not(contract: Contract) -> None:
    assert contract.request("GET", MACHINES, {"metadata.a": "1", "region": "fra"}, None) == []
    assert contract.request("GET", MACHINES, {"colour": "blue"}, None)
    assert contract.request("GET", MACHINES, {"summary": "perhaps"}, None)
    assert contract.request("GET", "/apps", {}, None)
    assert contract.request("GET", f"{MACHINES}/m1/wait", {"state": "started,failed", "timeout": "60"}, None) == []
    assert contract.request("GET", f"{MACHINES}/m1/wait", {"state": "asleep"}, None)
    assert contract.request("POST", f"{MACHINES}/m1/dance", {}, None)
    assert contract.request("POST", f"{MACHINES}/m1/start", {}, {"now": True})


def test_answers_that_are_not(contract: Contract) -> None:
    machine = {"id": "m1", "config": {"image": "i", "services": [{"protocol": "tcp", "internal_port": 1}]}}
    assert contract.answer("GET", f"{MACHINES}/m1", 200, machine) == []
    machine["config"]["services"][0]["autostop"] = False  # type: ignore[index]
    assert contract.answer("GET", f"{MACHINES}/m1", 200, machine) == []
    assert contract.answer("GET", f"{MACHINES}/m1", 200, {**machine, "mood": "good"})
    assert contract.answer("GET", f"{MACHINES}/m1", 201, machine)
    assert contract.answer("GET", MACHINES, 200, machine)
    assert contract.answer("GET", f"{MACHINES}/m1", 404, {"oops": "not found"})
    assert contract.answer("POST", f"{MACHINES}/m1/lease", 201, {"status": "success", "data": {"nonce": "a"}}) == []


def test_the_stand_in_refuses_what_is_not_described() -> None:
    with Standin() as standin:
        headers = {"authorization": f"FlyV1 {standin.token}"}
        refused = httpx.post(f"{standin.url}/v1/apps", json={"name": "a", "orgslug": "personal"}, headers=headers)
    assert refused.status_code == 400
    assert "orgslug" in refused.text
    assert standin.violations
    assert len(standin.changes) == 1
