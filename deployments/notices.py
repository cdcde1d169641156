"""Which blocks and automations does Prefect need, so that it tells people of runs that fail?

Questions are told by the run that asks them. What nobody is left to tell of, a run that fails, crashes or is paused,
is told by the server: an automation that sends through a notification block.
"""

from __future__ import annotations

from typing import cast
from uuid import UUID

from prefect.automations import Automation
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from pydantic import SecretStr
from storyloom.blocks.notifier import block_name

EVENTS = {
    "prefect.flow-run.Failed",
    "prefect.flow-run.Crashed",
    "prefect.flow-run.Paused",
    "prefect.flow-run.Suspended",
}
SUBJECT = "{{ flow.name }} is {{ flow_run.state.name }}"
BODY = "{{ flow_run.name }}\n{{ flow_run.state.message }}\n{{ flow_run|ui_url }}"


def set_up(channel: str, address: str) -> list[str]:
    """Save the channel's Secret and notification block and its automation, new or again; say what was done."""
    name = block_name(channel)
    Secret(value=SecretStr(address)).save(name, overwrite=True)
    done = [f"The address of {channel} is kept in the Secret block {name}."]
    block_id = _notification_block(name, address)
    for old in _automations(name):
        old.delete()
    trigger = EventTrigger(
        expect=EVENTS,
        match_related={"prefect.resource.id": "prefect.tag.storyloom"},
        posture=Posture.Reactive,
        threshold=1,
    )
    action = SendNotification(block_document_id=block_id, subject=SUBJECT, body=BODY)
    Automation(name=name, trigger=trigger, actions=[action], tags=["storyloom"]).create()
    done.append(f"The automation {name} tells {channel} of runs that fail, crash, pause or are suspended.")
    return done


def _notification_block(name: str, address: str) -> UUID:
    if address.startswith(("http://", "https://")):
        block = CustomWebhookNotificationBlock(
            name=name,
            url=address,
            json_data={"title": "{{subject}}", "body": "{{body}}", "severity": "normal", "channel": name},
            secrets={},
        )
        return cast(UUID, block.save(name, overwrite=True))
    from prefect.blocks.notifications import AbstractAppriseNotificationBlock

    class AppriseChannel(AbstractAppriseNotificationBlock):
        """Sends through any apprise URL."""

        _block_type_name = "Storyloom channel"
        _block_type_slug = "storyloom-channel"

    return cast(UUID, AppriseChannel(url=SecretStr(address)).save(name, overwrite=True))


def _automations(name: str) -> list[Automation]:
    from prefect import get_client

    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(name) if hasattr(client, "read_automations_by_name") else []
    return [Automation(**one.model_dump()) for one in found]
