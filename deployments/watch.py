"""Who looks after the questions of all projects of this installation, while nobody's process does?"""

from __future__ import annotations

from datetime import datetime

from prefect import flow
from prefect.logging import get_run_logger
from storyloom.domain.errors import StoryloomError
from storyloom.domain.ports import ProjectRef
from storyloom.flows.looking_after import look_after
from storyloom.tasks.ports import ports_for
from storyloom.tasks.waiting import publish_needs

from .environment import Environment, read_environment
from .needs import needs, needs_markdown


@flow(name="look-after-questions", flow_run_name="look after questions", retries=2, retry_delay_seconds=30)
def look_after_questions(
    repository: str = "",
) -> list[str]:
    """Tell people again what is due, end what is overdue, wake runs whose answer is there.

    Args:
        repository: Absolute path of the project's git repository; empty: all projects.
    """
    environment = read_environment()
    done = look_after_project(repository) if repository else look_after_all(environment)
    show(environment)
    for line in done:
        get_run_logger().info(line)
    return done


def look_after_all(environment: Environment, moment: datetime | None = None) -> list[str]:
    """As `look_after`, for all projects of this installation; one that cannot be opened holds no other up."""
    done = []
    for note in sorted((environment.home / "projects").glob("*/repository")):
        repository = note.read_text()
        if not repository:  # being written at this moment
            continue
        try:
            done += look_after_project(repository, moment)
        except (StoryloomError, OSError) as error:
            done.append(f"{repository}: {error}")
    return done


def show(environment: Environment) -> None:
    """Publish what needs a person, if that has changed."""
    publish_needs(needs_markdown(needs(environment)))


def look_after_project(repository: str, moment: datetime | None = None) -> list[str]:
    """As `look_after`, for the project at this path."""
    return look_after(ports_for(ProjectRef(repository=repository)), moment)
