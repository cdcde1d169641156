"""In which order does a reviewed story enter the main line?  One story at a time, tests of the new tip first."""

from __future__ import annotations

from prefect import flow

from ..domain.ports import ProjectRef
from ..domain.stories import Lane, Story, StoryOutcome
from ..tasks.integration import clear_worktree, merge_story, merged_commit, move_story, rebase_story
from ..tasks.ports import ports_for
from ..tasks.verification import count_merges, run_tests, whole_suite_is_due


@flow(name="integrate", flow_run_name="integrate · {story.id}")
def integrate(project: ProjectRef, story: Story, outcome: StoryOutcome) -> StoryOutcome:
    """Bring a reviewed story into the main line, or say why it cannot enter. Running it again changes nothing."""
    ports = ports_for(project)
    with ports.lane():
        merge = merged_commit(project, story.key)
        if merge is None:
            rebased = rebase_story(project, story, outcome.commit)
            if rebased.conflicts:
                files = ", ".join(rebased.conflicts)
                reason = f"The story conflicts with the main line in {files}."
                return outcome.model_copy(update={"status": "blocked", "lane": Lane.CODE, "reason": reason})
            worktree = ports.workspace.path(story.key)
            whole = whole_suite_is_due(project)
            since = "" if whole else rebased.tip
            tests = run_tests(project, worktree, rebased.commit, f"story {story.id} on the tip", story.key, since)
            if not tests.passed:
                reason = "The tests fail once the story stands on the main line's tip."
                update = {"status": "blocked", "lane": Lane.CODE, "reason": reason, "tests": tests}
                return outcome.model_copy(update=update)
            outcome = outcome.model_copy(update={"tests": tests})
            merge = merge_story(project, story, rebased.commit, outcome)
            count_merges(project, 1, whole=whole)
        merged = outcome.model_copy(update={"status": "merged", "commit": merge, "reason": ""})
        clear_worktree(project, story)  # before the board: a story that is done there is not looked at again
        move_story(project, story, "done", merged)
    return merged
