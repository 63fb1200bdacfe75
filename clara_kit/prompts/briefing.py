"""What Clara is told of one customer: profile, products that fit, the prompt, the greeting, and what hides them.

Pure. Made anew whenever a profile comes; used by `runtime/reception.py`, `world/sim.py` and the notebooks alike, so
that what a designer looks at is what Clara is told.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property, lru_cache

from clara_kit.core.errors import ClaraError, ProviderError
from clara_kit.core.placeholders import Placeholders
from clara_kit.core.profile import ANONYMOUS, CustomerProfile
from clara_kit.core.prompt import Prompt
from clara_kit.prompts.catalog import Catalog
from clara_kit.prompts.recommend import Recommendations, recommend
from clara_kit.prompts.template import PromptTemplate, Rendered

log = logging.getLogger("clara_kit.prompts")


@dataclass(frozen=True, kw_only=True)
class Briefing:
    """A template filled for a profile. `hidden_…` are the same texts with placeholders: what a log may hold."""

    template: PromptTemplate
    profile: CustomerProfile
    recommended: Recommendations
    rendered: Rendered

    @cached_property
    def placeholders(self) -> Placeholders:
        """What hides the profile; of this briefing alone, for it follows the streams of one conversation."""
        return Placeholders(self.profile)

    @property
    def prompt(self) -> Prompt:
        """What the model receives."""
        return self.rendered.prompt

    @property
    def greeting(self) -> str:
        """What Clara says first."""
        return self.rendered.greeting

    @cached_property
    def hidden_greeting(self) -> str:
        """The greeting as the trace knows it."""
        return self.placeholders.hide(self.rendered.greeting)

    @cached_property
    def hidden_prompt(self) -> Prompt:
        """The prompt as a log may hold it; its hash is the one in the trace."""
        prompt = self.rendered.prompt
        return Prompt(static=prompt.static, personal=self.placeholders.hide(prompt.personal))


def brief(
    template: PromptTemplate | str = "warm", profile: CustomerProfile = ANONYMOUS, *, catalog: Catalog | None = None
) -> Briefing:
    """Fill a template (or the newest of that id) for a profile. Raises `TemplateError`, `ScriptError`."""
    template = PromptTemplate.load(template) if isinstance(template, str) else template
    catalog = catalog or Catalog.load()
    try:
        recommended, rendered = _filled(template, profile, catalog)
    except TypeError:  # a profile made by hand, with lists
        recommended, rendered = _filled.__wrapped__(template, profile, catalog)
    return Briefing(template=template, profile=profile, recommended=recommended, rendered=rendered)


def brief_or_why(
    template: PromptTemplate, profile: CustomerProfile, *, catalog: Catalog | None = None
) -> Briefing | ProviderError:
    """As `brief`, in a running conversation: a template that fails for this customer must not end it.

    What the team is told then comes instead; whoever asked greets as to a stranger.
    """
    try:
        made = brief(template, profile, catalog=catalog)
        _ = made.hidden_greeting, made.hidden_prompt
        return made
    except Exception as exc:
        why = exc.message if isinstance(exc, ClaraError) else type(exc).__name__  # ours quotes nothing of a customer
        log.warning("a template failed for a customer: %s", why)
        return ProviderError(
            f"The template {template.label} fails for this customer, whom Clara greets as a stranger: {why}",
            hint="mend the template at this line.",
            kind="bad_input",
            retryable=False,
        )


# As many as an experiment has people, for each of its prompts; in memory alone, so that no name outlives the process.
@lru_cache(maxsize=512)
def _filled(template: PromptTemplate, profile: CustomerProfile, catalog: Catalog) -> tuple[Recommendations, Rendered]:
    recommended = recommend(profile, catalog)
    return recommended, template.render(profile, catalog=catalog, recommended=recommended)
