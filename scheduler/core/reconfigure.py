"""Another configuration for a running cluster: in one event, between two passes, whole or not at all.

Nothing that runs is stopped by it. Limits that are lower now keep jobs from starting; jobs of a partition
that is gone wait, with that as their reason, until they are moved to another.
"""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.partitions import as_switched
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.event import Configured
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import Reconfigure
from packhorse.scheduler.model.reply import Done, RefusalCode, Refused


def reconfigure(state: State, call: Reconfigure, now: Instant) -> Decision:
    """Administrators only. The cluster's origin stays what it is."""
    draft = Draft(state, now)
    if not call.caller.admin:
        user = call.caller.owner.user
        message = f'user "{user}" may not have the configuration read again; only an administrator may'
        return draft.answer(call.caller, Refused(RefusalCode.DENIED, message, "Access/permission denied"))
    config = replace(call.config, origin=call.config.origin or state.config.origin)
    if as_switched(state, config) != state.config:
        draft.events.append(Configured(now, config, call.caller.owner.uid, call.changed))
    return draft.answer(call.caller, Done(()))
