"""Makes a number lead to a bot, and back. What it led to before is kept at the carrier, in the application's name."""

import re
from dataclasses import dataclass

from voicedeploy.errors import NotReady, StepFailed, UsageError
from voicedeploy.phone.account import Account, Application, Owned

_NOTHING = "none"


@dataclass(frozen=True)
class Number:
    """A number and the application it leads to, where it leads to one."""

    owned: Owned
    application: Application | None

    @property
    def before(self) -> str | None:
        """What it led to before `bind`, "" for nothing of the carrier's; None: it is not bound."""
        digits = self.owned.number.removeprefix("+")
        match = re.fullmatch(rf"voicedeploy-{digits}-(\S+)", self.application.name if self.application else "")
        if match is None:
            return None
        return "" if match[1] == _NOTHING else match[1]

    @property
    def bound(self) -> bool:
        return self.before is not None

    @property
    def url(self) -> str:
        """Where its calls are asked about; "" where the carrier does not say."""
        if self.application:
            return self.application.url
        return "" if self.owned.target else self.owned.url

    @property
    def leads_to(self) -> str:
        """The same for people."""
        return self.url or self.owned.target or "nothing"


def normal(text: str) -> str:
    """`+1 (415) 555-0100` as +14155550100. Raises `UsageError`."""
    number = re.sub(r"[\s().-]", "", text)
    if not re.fullmatch(r"\+\d{7,15}", number):
        raise UsageError(f"{text!r} is not a phone number", hint="write it with its country: +14155550100")
    return number


def find(account: Account, number: str) -> Number:
    """Raises `NotReady` if the account does not have it."""
    owned = next(iter(account.owned(number)), None)
    if owned is None:
        raise NotReady(
            f"{number} is not a number of this account",
            hint="`voicedeploy phone list` shows those it has; voicedeploy buys none",
        )
    return _with_application(account, owned)


def numbers(account: Account) -> list[Number]:
    return [_with_application(account, owned) for owned in account.owned()]


def bind(account: Account, number: Number, url: str) -> None:
    """Returns when the carrier says that the number leads to `url`."""
    if number.bound and number.application:
        account.update(number.application, url)
    else:
        digits = number.owned.number.removeprefix("+")
        made = account.create(f"voicedeploy-{digits}-{number.owned.target or _NOTHING}", url)
        try:
            account.point(number.owned, made)
        except BaseException:
            account.delete(made)
            raise
    now = find(account, number.owned.number)
    if now.url != url:
        raise StepFailed(f"{now.owned.number} leads to {now.leads_to}", hint="see the carrier's dashboard")


def unbind(account: Account, number: Number) -> None:
    """Returns when the carrier says that the number leads to where it did before."""
    if number.before is None or number.application is None:
        raise NotReady(
            f"{number.owned.number} is not bound: it leads to {number.leads_to}", hint="`voicedeploy phone list`"
        )
    account.point(number.owned, number.before)
    now = find(account, number.owned.number)
    if now.owned.target != number.before:
        raise StepFailed(f"{now.owned.number} still leads to {now.leads_to}", hint="see the carrier's dashboard")
    account.delete(number.application.id)


def _with_application(account: Account, owned: Owned) -> Number:
    return Number(owned, account.application(owned.target) if owned.target else None)
