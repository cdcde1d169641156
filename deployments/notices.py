"""Which blocks and automations does Prefect need, so that it tells people of runs that fail?

Questions are told by the run that asks them. What nobody is left to tell of, a run that fails, crashes or is paused,
is told by the server: an automation that sends through a notification block.
"""

from __future__ import annotations

from contextlib import suppress
from typing import cast
from uuid import UUID

from prefect import get_client
from prefect.automations import Automation
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.blocks.system import Secret
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import Automation as Stored
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.types import SecretDict
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
    trigger = EventTrigger(
        expect=EVENTS,
        match_related={"prefect.resource.id": "prefect.tag.storyloom"},
        posture=Posture.Reactive,
        threshold=1,
    )
    action = SendNotification(block_document_id=block_id, subject=SUBJECT, body=BODY)
    automation = Automation(name=name, trigger=trigger, actions=[action], tags=["storyloom"])
    found = _automations(name)
    for more in found[1:]:
        Automation(**more.model_dump()).delete()
    if found:
        automation.model_copy(update={"id": found[0].id, "enabled": found[0].enabled}).update()
    else:
        automation.create()
    done.append(f"The automation {name} tells {channel} of runs that fail, crash, pause or are suspended.")
    return done


def _notification_block(name: str, address: str) -> UUID:
    """The block that the server sends through; the server loads only types that come with Prefect.

    A Slack block takes any apprise address: whatever is no webhook of Slack's goes to apprise as it is.
    """
    if address.startswith(("http://", "https://")):
        block: Block = CustomWebhookNotificationBlock(
            name=name,
            url="{{address}}",
            json_data={"title": "{{subject}}", "body": "{{body}}", "severity": "normal", "channel": name},
            secrets=SecretDict({"address": address}),
        )
        other: type[Block] = SlackWebhook
    else:
        block, other = SlackWebhook(url=SecretStr(address)), CustomWebhookNotificationBlock
    saved = cast(UUID, block.save(name, overwrite=True))
    with suppress(ValueError):  # what an address of the other sort left here
        other.delete(name)
    return saved


def _automations(name: str) -> list[Stored]:
    with get_client(sync_client=True) as client:
        return client.read_automations_by_name(name)
