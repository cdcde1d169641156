"""In which order does what was approved go live?"""

from __future__ import annotations

from prefect import flow

from ..domain.delivery import PhaseReport
from ..domain.phases import Phase, jobs
from ..domain.ports import ProjectRef
from ..tasks.deployment import live_release, release_commit
from ..tasks.documents import commit_documents
from ..tasks.phases import in_main_line, phase_facts
from ..tasks.ports import ports_for
from ..tasks.quality import gated_commit
from .orchestrating import orchestrating
from .phases import approved, report
from .run_workflow import run_workflow
from .suspending import freeing_worker


@flow(name="deployment", flow_run_name="deployment")
@orchestrating
def deployment(project: ProjectRef) -> PhaseReport:
    """Write the release notes and release the commit that passed the quality gate."""
    return freeing_worker(project, lambda: _deployment(project))


def _deployment(project: ProjectRef) -> PhaseReport:
    ports = ports_for(project)
    facts = phase_facts(project)
    commit = gated_commit(project)
    if ports.deploy is None:
        return report(Phase.DEPLOYMENT, [], ["settings.deploy is 'none'"], "already_done")
    if not commit:
        return report(Phase.DEPLOYMENT, [], [], "failed", "Nothing has passed the quality gate yet.")
    release = commit[:12]
    did: list[str] = []
    found: list[str] = []
    for job in jobs(Phase.DEPLOYMENT, facts.level):
        path = f"{facts.planning_folder}/{job.document}"
        if in_main_line(project, path) and live_release(project) == release:
            found.append(path)
            continue
        result = run_workflow(project, job.workflow, dict(facts.inputs))
        if result.status == "blocked":
            return report(Phase.DEPLOYMENT, did, found, "waiting", f"{job.workflow} is blocked: {result.reason}")
        did += commit_documents(project, job.workflow)
    if live_release(project) == release:
        return report(Phase.DEPLOYMENT, did, [*found, f"release {release}"], "done" if did else "already_done")
    if Phase.DEPLOYMENT in ports.config.gates.phases and not approved(project, Phase.DEPLOYMENT, f"Release {release}?"):
        return report(Phase.DEPLOYMENT, did, found, "waiting", "The release was not approved.")
    result_of = release_commit(project, release, commit)
    if result_of.outcome != "healthy":
        reason = f"Release {release} is not healthy ({result_of.detail}); {result_of.current or 'nothing'} is live."
        return report(Phase.DEPLOYMENT, did, found, "failed", reason)
    return report(Phase.DEPLOYMENT, [*did, f"release {release}"], found, "done")
