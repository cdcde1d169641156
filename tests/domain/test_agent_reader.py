import pytest
from storyloom.domain.agent_reader import MenuItem, agent_problems, find_agents, read_agent
from storyloom.domain.errors import DocumentError

AGENT = """agent:
  webskip: true
  metadata:
    id: "_bmad/bmm/agents/dev.md"
    name: Ada
    title: Developer
    icon: "x"
    module: bmm
    hasSidecar: false
  persona:
    role: >-
      Senior
      engineer
    identity: Writes code
    communication_style: Short
    principles: |
      - Tests first
      - Small steps
  critical_actions:
    - "Read the story"
  prompts:
    - id: hello
      content: Say hello
  menu:
    - trigger: DS or fuzzy match on dev-story
      workflow: "{project-root}/_bmad/bmm/workflows/dev-story/workflow.yaml"
      description: "[DS] Develop"
    - trigger: greet
      action: "#hello"
      description: Greet
    - multi: "[PM] Party"
      triggers:
        - party-mode:
            - input: SP
            - route: "{project-root}/_bmad/core/party/workflow.md"
"""
PATH = "src/modules/bmm/agents/dev.agent.yaml"


def test_an_agent_file_is_read_whole():
    ada = read_agent(PATH, {PATH: AGENT})
    assert (ada.id, ada.name, ada.title, ada.icon, ada.module, ada.path) == (
        "dev",
        "Ada",
        "Developer",
        "x",
        "bmm",
        PATH,
    )
    assert (ada.role, ada.identity, ada.communication_style) == ("Senior engineer", "Writes code", "Short")
    assert ada.principles == ("Tests first", "Small steps")
    assert (ada.critical_actions, ada.prompts) == (("Read the story",), {"hello": "Say hello"})
    assert ada.menu == (
        MenuItem(
            "dev-story", "[DS] Develop", "workflow", "{project-root}/_bmad/bmm/workflows/dev-story/workflow.yaml", "DS"
        ),
        MenuItem("greet", "Greet", "action", "#hello"),
        MenuItem("party-mode", "SP", "exec", "{project-root}/_bmad/core/party/workflow.md"),
    )


def test_a_good_agent_has_no_problems():
    assert agent_problems(PATH, AGENT) == ()
    listed = AGENT.replace("principles: |", "principles:")
    assert agent_problems(PATH, listed) == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("  webskip: true\n", "  webskip: maybe\n", 2, "must be true or false"),
        ("    name: Ada\n", "", 3, "lacks 'name'"),
        ("    name: Ada\n", "    name: ''\n", 5, "not empty"),
        ("    name: Ada\n", "    name: Ada\n    age: 3\n", 6, "no key 'age'"),
        ("    identity: Writes code\n", "    identity: [x]\n", 14, "must be a text"),
        ('    - "Read the story"\n', '    - "Read"\n    - ""\n', 21, "texts that are not empty"),
        ("      content: Say hello\n", "", 22, "lacks 'content'"),
        ("    - trigger: greet\n", "    - trigger: Greet\n", 28, "small words"),
        ("    - trigger: greet\n", "    - trigger: dev-story\n", 28, "given twice, first on line 25"),
        ("    - trigger: greet\n", "    - trigger: gr or dash\n", 28, "fuzzy match"),
        ('"[DS] Develop"', '"Develop"', 27, "must start with [DS]"),
        ('      action: "#hello"\n', "", 28, "leads nowhere"),
        ("            - input: SP\n", "            - data: x\n", 33, "no input"),
        ("agent:\n", "extra: 1\nagent:\n", 1, "no key 'extra'"),
    ],
)
def test_every_problem_has_its_line(old, new, line, says):
    text = AGENT.replace(old, new, 1)
    assert text != AGENT
    problems = agent_problems(PATH, text)
    assert [(p.path, p.line, p.severity) for p in problems] == [(PATH, line, "error")]
    assert says in problems[0].message
    with pytest.raises(DocumentError) as caught:
        read_agent(PATH, {PATH: text})
    assert caught.value.line == line


@pytest.mark.parametrize(
    "text", ["", "x", "agent: 3", "agent: {metadata: 1}", "agent:\n  menu: []", "a: [", "agent:\n\tx: 1"]
)
def test_what_is_no_agent_at_all_is_told_and_not_a_crash(text):
    assert agent_problems(PATH, text)
    with pytest.raises(DocumentError):
        read_agent(PATH, {PATH: text})


def test_a_project_may_change_an_installed_agent():
    path = "_bmad/bmm/agents/dev.agent.yaml"
    custom = """agent: {metadata: {name: Bo}}
persona: {role: Chief, identity: "", principles: [One]}
critical_actions: [Check twice]
memories: [Likes tea]
menu: [{trigger: extra, exec: x.md, description: d}]
prompts: [{id: p2, content: c}]
"""
    bo = read_agent(path, {path: AGENT, "_bmad/_config/agents/bmm-dev.customize.yaml": custom})
    assert (bo.name, bo.role, bo.identity, bo.principles) == ("Bo", "Chief", "Writes code", ("One",))
    assert bo.critical_actions == ("Read the story", "Check twice")
    assert bo.facts == ("Likes tea",)
    assert [item.trigger for item in bo.menu] == ["dev-story", "greet", "party-mode", "extra"]
    assert set(bo.prompts) == {"hello", "p2"}


COMPILED = """---
name: "dev"
---
You are.

```xml
<agent id="_bmad/bmm/agents/dev.md" name="Ada" title="Developer" icon="x">
<activation critical="MANDATORY">
  <step n="1">Load persona from this current agent file</step>
  <step n="2">Read the story &amp; its notes</step>
  <step n="3">Show greeting</step>
</activation>
  <persona>
    <role>Senior engineer</role>
    <identity>Writes &lt;code&gt;</identity>
    <communication_style>Short</communication_style>
    <principles>- Tests first - Small steps, well-tested</principles>
  </persona>
  <prompts><prompt id="hello"><content>Say hello</content></prompt></prompts>
  <memories><memory>Likes tea</memory></memories>
  <menu>
    <item cmd="DS or fuzzy match on dev-story" workflow="{project-root}/_bmad/bmm/w.yaml">[DS] Develop</item>
    <item cmd="*help">Help</item>
    <item type="multi">[P] Party
      <handler match="SP" exec="p.md"></handler>
    </item>
  </menu>
</agent>
```
"""


def test_an_installed_agent_is_read_from_its_markdown():
    path = "_bmad/bmm/agents/dev.md"
    ada = read_agent(path, {path: COMPILED})
    assert (ada.id, ada.name, ada.title, ada.module) == ("dev", "Ada", "Developer", "bmm")
    assert (ada.role, ada.identity) == ("Senior engineer", "Writes <code>")
    assert ada.principles == ("Tests first", "Small steps, well-tested")
    assert ada.critical_actions == ("Read the story & its notes",)
    assert (ada.prompts, ada.facts) == ({"hello": "Say hello"}, ("Likes tea",))
    assert ada.menu == (
        MenuItem("dev-story", "[DS] Develop", "workflow", "{project-root}/_bmad/bmm/w.yaml", "DS"),
        MenuItem("help", "Help"),
        MenuItem("SP", "SP", "exec", "p.md"),
    )
    with pytest.raises(DocumentError, match="no <agent>"):
        read_agent("a.md", {"a.md": "# nobody"})


SKILL = """---
name: agent-dev
description: d
---
# Ada — Developer

## Overview
Overview of Ada.

## Principles
- Tests first

## Capabilities

| Code | Description | Skill |
|------|-------------|-------|
| DS | Develop | dev-story |
| TX | Talk | Prompt: talk.md |
"""
CUSTOM = """[agent]
name = "Ada"
title = "Developer"
icon = "x"
role = "Senior"
principles = ["One"]
persistent_facts = ["file:a.md"]
[[agent.menu]]
code = "DS"
description = "Develop"
skill = "dev-story"
[[agent.menu]]
code = "TX"
description = "Talk"
prompt = "Read talk.md"
"""


def test_an_agent_may_be_a_skill_with_layers_of_customization():
    files = {
        "skills/agent-dev/SKILL.md": SKILL,
        "skills/agent-dev/customize.toml": CUSTOM,
        "_bmad/custom/agent-dev.toml": '[agent]\nrole = "Chief"\nprinciples = ["Two"]\n'
        '[[agent.menu]]\ncode = "TX"\nskill = "talk"\n',
    }
    ada = read_agent("skills/agent-dev/SKILL.md", files)
    assert (ada.id, ada.name, ada.title, ada.role, ada.icon) == ("agent-dev", "Ada", "Developer", "Chief", "x")
    assert (ada.principles, ada.facts) == (("One", "Two"), ("file:a.md",))
    assert ada.menu == (
        MenuItem("dev-story", "Develop", "skill", "dev-story", "DS"),
        MenuItem("talk", "", "skill", "talk", "TX"),
    )


def test_an_agent_may_be_a_skill_of_prose_with_a_manifest():
    manifest = "type: agent\ndisplayName: Ada B.\ncommunicationStyle: Short\nidentity: Writes\nmodule: bmm\n"
    files = {"s/agent-dev/SKILL.md": SKILL, "s/agent-dev/bmad-skill-manifest.yaml": manifest}
    ada = read_agent("s/agent-dev/SKILL.md", files)
    assert (ada.name, ada.title, ada.role, ada.identity) == ("Ada B.", "Developer", "Overview of Ada.", "Writes")
    assert (ada.communication_style, ada.principles, ada.module) == ("Short", ("Tests first",), "bmm")
    assert [(i.kind, i.target) for i in ada.menu] == [("skill", "dev-story"), ("prompt", "Prompt: talk.md")]


def test_agents_are_found_and_skills_that_are_workflows_are_not():
    files = {
        PATH: AGENT,
        "_bmad/bmm/agents/dev.md": COMPILED,
        "_bmad/bmm/agents/notes.md": "no agent",
        "skills/agent-dev/SKILL.md": SKILL,
        "skills/bmad-agent-builder/SKILL.md": SKILL,
        "skills/bmad-agent-builder/customize.toml": "[workflow]\n",
        "skills/prd/SKILL.md": SKILL,
        "test/fixtures/x/bad.agent.yaml": "x",
    }
    assert find_agents(files) == ("_bmad/bmm/agents/dev.md", "skills/agent-dev/SKILL.md", PATH)
    with pytest.raises(DocumentError, match="no such agent"):
        read_agent("x.agent.yaml", files)
