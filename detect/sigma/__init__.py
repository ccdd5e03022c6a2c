"""Sigma rules in, `RuleSet`s out. pySigma is known here alone.

from detect.sigma import explain, load

found = load(["rules/"], site, strict=False)   # found.ruleset, found.refusals, found.cases
print(explain(found.ruleset.rules[0]))
"""

from whowas.errors import MissingExtra

try:
    import sigma.types as _present
except ModuleNotFoundError as error:
    raise MissingExtra("sigma", "rules") from error
del _present

from detect.sigma.cases import Case, CaseFlow  # noqa: E402 - they need pySigma
from detect.sigma.explain import explain  # noqa: E402
from detect.sigma.loader import load  # noqa: E402
from detect.sigma.refusals import Refusal  # noqa: E402
from detect.sigma.resolver import Loaded  # noqa: E402

__all__ = ["Case", "CaseFlow", "Loaded", "Refusal", "explain", "load"]
