"""In which order is it decided whether what was built may be released?"""

from __future__ import annotations

from prefect import flow

from ..domain.delivery import PhaseReport
from ..domain.gates import overall
from ..domain.phases import Phase, jobs
from ..domain.ports import ProjectRef
from ..tasks.documents import commit_documents
from ..tasks.phases import judge_document, phase_facts
from ..tasks.ports import ports_for
from ..tasks.quality import evidence_of, gate_kept, keep_gate
from ..tasks.verification import run_tests
from .orchestrating import orchestrating
from .phases import approved, report
from .run_workflow import run_workflow
from .suspending import freeing_worker


@flow(name="quality", flow_run_name="quality")
@orchestrating
def quality(project: ProjectRef) -> PhaseReport:
    """Run all tests on the main line, weigh the evidence, and give the release's verdict."""
    return freeing_worker(project, lambda: _quality(project))


def _quality(project: ProjectRef) -> PhaseReport:
    ports = ports_for(project)
    facts = phase_facts(project)
    code = ports.workspace.tip()
    kept = gate_kept(project, code)
    if kept in ("pass", "concerns", "approved"):
        return report(Phase.QUALITY, [], [f"verdict {kept}"], "already_done")
    did: list[str] = []
    tests = run_tests(project, ports.workspace.integration(), code, "the main line")
    verdict = overall("pass", tests.passed)
    for job in jobs(Phase.QUALITY, facts.level):
        evidence = evidence_of(project, code, tests)
        result = run_workflow(project, job.workflow, {**facts.inputs, "evidence": evidence})
        if result.status == "blocked":
            return report(Phase.QUALITY, did, [], "waiting", f"{job.workflow} is blocked: {result.reason}")
        did += commit_documents(project, job.workflow)
        verdict = overall(judge_document(project, f"{facts.planning_folder}/{job.document}"), tests.passed)
    if verdict not in ("pass", "concerns") or Phase.QUALITY in ports.config.gates.phases:
        if not approved(project, Phase.QUALITY, f"The quality gate says: {verdict}. Tests: {tests.exit_code}."):
            return report(Phase.QUALITY, did, [], "failed", f"The quality gate says {verdict}.")
        verdict = "waived"
    keep_gate(project, verdict if verdict != "waived" else "approved")
    return report(Phase.QUALITY, [*did, f"verdict {verdict}"], [], "done")
