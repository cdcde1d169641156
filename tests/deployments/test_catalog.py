"""What is served is what prefect.yaml deploys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from storyloom.deployments.catalog import deployments, entries

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def declared() -> dict[str, dict[str, Any]]:
    loaded = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    return {entry["name"]: entry for entry in loaded["deployments"]}


def test_served_and_declared_are_the_same_flows(declared: dict[str, dict[str, Any]]):
    served = {e.name: f"{e.flow.fn.__module__}.{e.flow.fn.__name__}" for e in entries()}
    assert served == {name: entry["entrypoint"] for name, entry in declared.items()}


def test_each_deployment_bears_its_flows_name(declared: dict[str, dict[str, Any]]):
    assert {e.name for e in entries()} == {e.flow.name for e in entries()}
    assert all(entry["enforce_parameter_schema"] for entry in declared.values())


def test_the_nightly_schedule_names_its_zone_and_waits_to_be_switched_on(declared: dict[str, dict[str, Any]]):
    (schedule,) = declared["nightly-stories"]["schedules"]
    assert schedule["active"] is False
    made = {d.name: d for d in deployments()}["nightly-stories"]
    assert made.schedules
    assert made.schedules[0].active is False
    assert made.schedules[0].slug == schedule["slug"]  # a server that knows the one refuses the other without it
    assert (made.schedules[0].schedule.cron, made.schedules[0].schedule.timezone) == (
        schedule["cron"],
        schedule["timezone"],
    )


def test_forms_say_what_their_fields_mean():
    for deployment in deployments():
        schema = deployment._parameter_openapi_schema
        project = schema.definitions["ProjectRef"]["properties"] if schema.definitions else schema.properties
        project = project["repository"]
        assert "Absolute path" in project["description"], deployment.name


def test_every_field_of_the_forms_that_people_use_most_is_explained():
    made = {d.name: d for d in deployments()}
    for name in ("deliver-project", "nightly-stories", "look-after-questions"):
        fields = made[name]._parameter_openapi_schema.properties
        assert all(field.get("description") for field in fields.values()), (name, fields)
        assert "Args" not in made[name].description


def test_a_schedule_that_somebody_switched_on_is_served_switched_on():
    for on in (True, False):
        made = {made.name: made for made in deployments(night_is_on=on)}
        assert [schedule.active for schedule in made["nightly-stories"].schedules or []] == [on]
