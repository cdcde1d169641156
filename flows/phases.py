"""In which order does each phase do what is missing?"""

from __future__ import annotations

from prefect import flow

from ..domain.approvals import APPROVE, REJECT
from ..domain.delivery import PhaseReport
from ..domain.escalations import Kind, Question
from ..domain.phases import Phase, jobs
from ..domain.ports import ProjectRef
from ..tasks.documents import commit_documents
from ..tasks.phases import digest_of, in_main_line, judge_document, phase_facts
from ..tasks.ports import ports_for
from .gates import lets_pass
from .orchestrating import orchestrating
from .run_workflow import run_workflow
from .suspending import freeing_worker


@flow(name="analysis", flow_run_name="analysis")
@orchestrating
def analysis(project: ProjectRef) -> PhaseReport:
    """From the idea to a product brief."""
    return freeing_worker(project, lambda: run_jobs(project, Phase.ANALYSIS))


@flow(name="planning", flow_run_name="planning")
@orchestrating
def planning(project: ProjectRef) -> PhaseReport:
    """From the product brief to requirements; a tech-spec for small projects."""
    return freeing_worker(project, lambda: run_jobs(project, Phase.PLANNING))


@flow(name="solutioning", flow_run_name="solutioning")
@orchestrating
def solutioning(project: ProjectRef) -> PhaseReport:
    """From requirements to an architecture, epics and stories, and the readiness gate."""
    return freeing_worker(project, lambda: run_jobs(project, Phase.SOLUTIONING))


def run_jobs(project: ProjectRef, phase: Phase) -> PhaseReport:
    """Run the phase's workflows whose documents are missing, commit each document, and pass its gates."""
    did: list[str] = []
    found: list[str] = []
    facts = phase_facts(project)
    for job in jobs(phase, facts.level):
        path = f"{facts.planning_folder}/{job.document}"
        if in_main_line(project, path):
            found.append(path)
        else:
            result = run_workflow(project, job.workflow, dict(facts.inputs))
            if result.status == "blocked":
                return report(phase, did, found, "waiting", f"{job.workflow} is blocked: {result.reason}")
            did += commit_documents(project, job.workflow)
        verdict = judge_document(project, path) if job.workflow == "implementation-readiness" else "pass"
        if verdict not in ("pass", "concerns") and not approved(project, phase, f"{path} says: {verdict}"):
            return report(phase, did, found, "waiting", f"{path} says {verdict}; a person must decide.")
    if phase in ports_for(project).config.gates.phases and not approved(project, phase, "This phase needs approval."):
        return report(phase, did, found, "waiting", "The phase was not approved.")
    return report(phase, did, found, "done" if did else "already_done")


def report(phase: Phase, did: list[str], found: list[str], status: str, reason: str = "") -> PhaseReport:
    """A phase report from what was gathered on the way."""
    return PhaseReport.model_validate(
        {"phase": phase, "status": status, "did": tuple(did), "found": tuple(found), "reason": reason}
    )


def approved(project: ProjectRef, phase: Phase, why: str) -> bool:
    """Whether a person lets the phase's result pass; an approval holds for the documents as they are."""
    facts = phase_facts(project)
    paths = [f"{facts.planning_folder}/{job.document}" for job in jobs(phase, facts.level)]
    main = ports_for(project).config.settings.integration_branch
    question = Question(
        kind=Kind.PHASE_GATE,
        project=project.repository,
        workflow=phase.value,
        step="gate",
        question=f"Let {phase.value} pass?",
        context=f"{why}\n\nLook at {', '.join(paths)} on {main}." if paths else why,
        options=(APPROVE, REJECT),
    )
    return lets_pass(project, question, lambda: digest_of(project, paths))
