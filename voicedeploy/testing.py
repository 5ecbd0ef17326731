"""The tests that every provider passes, built-in or a third party's.

In a test module::

    class TestMine(ProviderContract):
        @pytest.fixture
        def provider(self) -> Provider: ...
        @pytest.fixture
        def spec(self) -> Spec: ...        # a bot that this provider could take

They look and plan; nothing is changed on the target.
"""

import json
from typing import Any

from voicedeploy.deployment import Deployment, Status
from voicedeploy.errors import Locked, SpecError
from voicedeploy.network import Offer
from voicedeploy.plan import Action, Call, Command, Plan, Question, Target, describe
from voicedeploy.provider import Finding, Provider
from voicedeploy.render import Artifact
from voicedeploy.spec import Spec

SECRET = "s3cret-value-that-must-not-leave"  # noqa: S105  (a value to look for, not to use)


class Watched:
    """A target behind glass: what is asked goes through, a change is refused and counted."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.changes: list[Action] = []

    def ask(self, question: Question) -> str:
        assert isinstance(question, Command | Call)
        return self._target.ask(question)

    def perform(self, action: Action) -> str:
        self.changes.append(action)
        raise AssertionError(f"a plan must not change anything: {describe(action)}")


class ProviderContract:
    """Subclass it, and give it the fixtures `provider` and `spec`."""

    def test_it_is_a_provider(self, provider: Provider) -> None:
        assert isinstance(provider, Provider)
        assert provider.name == provider.name.lower()
        assert "\n" not in provider.summary
        assert provider.summary

    def test_an_option_it_does_not_know_is_refused_by_file_and_key(self, provider: Provider) -> None:
        try:
            type(provider).configure({"no_such_option": 1})
        except SpecError as error:
            assert f"voicedeploy.toml: provider.{provider.name}.no_such_option" in error.message
            assert error.hint
        else:
            raise AssertionError("an unknown option was taken")

    def test_its_offer_is_typed(self, provider: Provider, spec: Spec) -> None:
        assert isinstance(provider.offer(spec, closely=True), Offer)

    def test_each_finding_has_a_code_and_what_to_do(self, provider: Provider, spec: Spec) -> None:
        for finding in provider.check(spec):
            assert isinstance(finding, Finding)
            assert finding.code.startswith("VD")
            assert finding.message
            if finding.severity != "ok":
                assert finding.fix, finding

    def test_what_is_not_there_is_not_found(self, provider: Provider) -> None:
        assert provider.find("no-such-bot-anywhere") is None

    def test_its_deployments_are_deployments(self, provider: Provider) -> None:
        for deployment in provider.deployments():
            assert deployment.provider == provider.name
            assert Deployment.from_labels(deployment.labels()) == deployment
            assert isinstance(provider.status(deployment), Status)

    def test_taking_nothing_away_is_an_empty_plan(self, provider: Provider) -> None:
        assert provider.plan(None, None).empty

    def test_a_plan_says_what_it_will_do_and_does_nothing(self, provider: Provider, spec: Spec) -> None:
        watched = Watched(provider.target())
        plan = provider.plan(spec, provider.find(spec.bot.name))
        assert watched.changes == []
        assert plan.provider == provider.name
        assert plan.bot == spec.bot.name
        assert plan.want
        assert plan.steps, "nothing stands there yet, so there is something to do"
        assert all(step.subject and "\n" not in step.summary for step in plan.steps)
        assert any(step.commits for step in plan.steps), "no step says where traffic moves"

    def test_planning_twice_is_planning_the_same(self, provider: Provider, spec: Spec) -> None:
        assert _outline(provider.plan(spec, None)) == _outline(provider.plan(spec, None))

    def test_a_plan_is_plain_data(self, provider: Provider, spec: Spec) -> None:
        for step in provider.plan(spec, None).steps:
            assert json.loads(json.dumps(describe(step.action)))["kind"]

    def test_artifacts_are_the_same_each_time(self, provider: Provider, spec: Spec) -> None:
        first, second = provider.render(spec), provider.render(spec)
        assert first == second
        assert first
        for artifact in first:
            assert isinstance(artifact, Artifact)
            assert not artifact.path.startswith("/")
            assert "\r" not in artifact.text

    def test_secrets_go_in_and_do_not_come_out(self, provider: Provider, spec: Spec) -> None:
        store = provider.secrets(spec.bot.name)
        store.update({"CONTRACT_KEY": SECRET})
        try:
            assert "CONTRACT_KEY" in store.names()
            plan = provider.plan(spec, None)
            shown: list[Any] = [describe(step.action) for step in plan.steps]
            everything = json.dumps(shown) + repr(plan) + repr(store) + repr(provider.render(spec))
            assert SECRET not in everything
        finally:
            store.update({"CONTRACT_KEY": None})
        assert "CONTRACT_KEY" not in store.names()

    def test_one_deploy_at_a_time(self, provider: Provider, spec: Spec) -> None:
        with provider.lock(spec.bot.name, "the first"):
            try:
                with provider.lock(spec.bot.name, "the second"):
                    raise AssertionError("two hold the lock")
            except Locked as error:
                assert "the first" in error.message
        with provider.lock(spec.bot.name, "afterwards"):
            pass


def _outline(plan: Plan) -> list[tuple[str, str]]:
    return [(step.change, step.summary) for step in plan.steps]
