"""How does the tree of a workflow become a program?"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from .condition_facts import slug
from .control_words import Control, read_control
from .jumps import goto_target, landing
from .program import Kind, Op, Program
from .workflow_shape import ASSIGN, INTENTS, condition_of, discovers, families_of, sections_of, services_of
from .workflow_tree import Node, Note, Step, Workflow

RULES = frozenset({"critical", "rule", "mandate"})
GUIDANCE = frozenset({
    "guideline", "note", "guide", "energy-checkpoint", "facilitation-guidelines", "facilitation-principles", "example",
    "format", "menu", "warning", "desc", "objective", "mode", "i", "param",
})  # fmt: skip
IGNORED = frozenset({"break", "continue", "loop", "checkpoint-handlers"})
_BARE_IF = re.compile(r"^(?:if|when)\s+(.{2,200}?)\s*:?\s*$", re.IGNORECASE | re.DOTALL)
_NAMES = frozenset({"name", "description", "number", "file"})


def compile_workflow(workflow: Workflow) -> Program:
    """The program of a workflow; notes of severity "error" name jumps that lead nowhere."""
    return _Compiler(workflow).run()


class _Compiler:
    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.ops: list[Op] = []
        self.labels: dict[str, int] = {}  # steps by their titles
        self.places: dict[int, int] = {}  # nested steps and anchors by identity
        self.starts: dict[int, int] = {}  # where each top-level step begins
        self.files: list[tuple[int, str]] = []  # jumps to step files
        self.wanted: list[tuple[int, str, bool]] = []  # (operation, target as written, written as a tag)
        self.notes: list[Note] = []
        self.step = 0
        self.path = workflow.path

    def run(self) -> Program:
        if self.workflow.kind == "steps":
            self._step_files()
        else:
            services = services_of(self.workflow.steps)
            for index, step in enumerate(self.workflow.steps):
                self.step = index
                self._whole_step(step, service_end=index in services)
        self._resolve()
        return Program(self.workflow, tuple(self.ops), self.starts, tuple(self.notes))

    # -- building blocks

    def _emit(self, kind: Kind, line: int, text: str = "", **more: object) -> int:
        self.ops.append(Op(kind, line, self.step, text, **more))  # type: ignore[arg-type]
        return len(self.ops) - 1

    def _land(self, at: int) -> None:
        """Let an earlier operation lead here."""
        self.ops[at] = replace(self.ops[at], target=len(self.ops))

    # -- steps

    def _step_files(self) -> None:
        """Steps of a file each: one family of them runs, from its first to where no successor is named."""
        families = families_of(self.workflow.steps)
        routes = self._route(families) if len(families) > 1 else []
        for family in families.values():
            for at, index in enumerate(family):
                for jump in (op for op, first in routes if first == index):
                    self._land(jump)
                self.step = index
                step = self.workflow.steps[index]
                self._whole_step(step, service_end=False)
                self._successor(step, family[at + 1 :])
            self._emit("return", self.workflow.steps[family[-1]].line, attrs={"service": "true"})

    def _route(self, families: Mapping[str, Sequence[int]]) -> list[tuple[int, int]]:
        """Choose a family by `intent`; the jumps, each with the step it leads to."""
        names = list(families)
        self._emit("discover", 1)
        if set(names) <= set(INTENTS.values()):
            self._emit("set", 1, names[0], attrs={"name": "intent", "default": "true"})
        else:
            self._emit("ask", 1, f"Which of these is meant: {', '.join(names)}?", attrs={"response": "intent"})
        jumps = []
        for name, family in families.items():
            at = self._emit("when", 1, f"{{intent}} == {name}", group=len(self.ops))
            jumps.append((self._emit("jump", 1, name), family[0]))
            self._land(at)
        return jumps

    def _successor(self, step: Step, later: Sequence[int]) -> None:
        """Go to the step that this one leads to: by its menu, by the file it names, else the next."""
        files = {self.workflow.steps[index].file: index for index in later}
        options = {option.key: option.target for option in step.menu if option.target in files}
        go_on = next((option.target for option in step.menu if option.key == "C"), "")
        if go_on not in files and len(set(options.values())) > 1:
            listed = "; ".join(f"{option.key}: {option.label}" for option in step.menu)
            self._emit("ask", step.line, f"Which way does {step.title} go on? {listed}", attrs={"response": "choice"})
            for key, target in options.items():
                at = self._emit("when", step.line, f"user selects {key}", group=len(self.ops))
                self.files.append((self._emit("jump", step.line, target), target))
                self._land(at)
        single = next(iter(options.values()), "") if len(set(options.values())) == 1 else ""
        target = next((one for one in (go_on, step.next_file, single) if one in files), "")
        if target and files[target] != later[0]:
            self.files.append((self._emit("jump", step.line, target), target))

    def _whole_step(self, step: Step, *, service_end: bool) -> None:
        first = not self.ops
        self.starts[self.step] = len(self.ops)
        self.labels.setdefault(slug(step.title), len(self.ops))
        front = {key: value for key, value in step.variables.items() if isinstance(value, str) and key not in _NAMES}
        start = self._emit("step", step.line, step.title, attrs={**front, "number": step.number, "file": step.file})
        skips = []
        if step.condition:
            skips.append(self._emit("when", step.line, step.condition, group=len(self.ops)))
        if step.optional:
            skips.append(self._emit("when", step.line, "", group=len(self.ops), attrs={"optional": "true"}))
        if first and not discovers(self.workflow) and (self.workflow.input_patterns or self.workflow.kind != "xml"):
            self._emit("discover", step.line)
        loop = self._open_loop(step.repeat, step.line)
        if self.workflow.kind == "xml":
            self._children(step.node.children)
        else:
            self._prose(step)
        stem = posixpath.basename(step.file).removesuffix(".md")
        repeat = "" if loop is not None else step.repeat
        self._emit("finish", step.line, attrs={"repeat": repeat, "completed": stem}, target=start + 1)
        self._close_loop(loop, step.line)
        for at in skips:
            self._land(at)
        if service_end:
            self._emit("return", step.line, attrs={"service": "true"})

    def _prose(self, step: Step) -> None:
        """A step without tags: its whole text is the instruction."""
        body = step.node.inner_text()
        if any(node.kind not in {"text", "root", "step"} for node in step.node.walk()):
            self._children(step.node.children)
        elif body:
            self._emit("do", step.line, body, attrs={"whole": "true"})

    def _open_loop(self, repeat: str, line: int) -> int | None:
        found = re.match(r"^for[-\s]each[-\s]+(.+)$", repeat.strip(), re.IGNORECASE)
        return self._emit("each", line, found[1], attrs={"item": slug(found[1])}) if found else None

    def _close_loop(self, loop: int | None, line: int) -> None:
        if loop is not None:
            self._emit("next", line, target=loop)
            self._land(loop)

    # -- nodes

    def _children(self, nodes: Sequence[Node]) -> None:
        group, bare = -1, None
        for node in nodes:
            if node.kind == "text" and not node.text.strip():
                continue
            if node.kind == "check" and not condition_of(node):  # alpha.0: the check covers what follows it
                if bare is not None:
                    self._land(bare)
                bare = self._bare_check(node)
                continue
            if node.kind in {"check", "if"}:
                group = self._check(node, group)
                continue
            group = -1
            self._node(node)
        if bare is not None:
            self._land(bare)

    def _bare_check(self, node: Node) -> int | None:
        said = _BARE_IF.match(node.inner_text())
        if said and not any(child.kind != "text" for child in node.children):
            return self._emit("when", node.line, said[1], group=len(self.ops))
        self._children(node.children)
        return None

    def _check(self, node: Node, group: int) -> int:
        group = len(self.ops) if group < 0 else group
        at = self._emit("when", node.line, condition_of(node), group=group)
        self._children(node.children)
        self._land(at)
        return group

    def _node(self, node: Node) -> None:
        condition = "" if node.kind in {"step", "check", "if"} else node.attrs.get("if", "")
        guard = self._emit("when", node.line, condition, group=len(self.ops)) if condition else None
        self._bare(node)
        if guard is not None:
            self._land(guard)

    def _bare(self, node: Node) -> None:
        kind = node.kind
        text = node.inner_text()
        if kind == "text":
            self._emit("context", node.line, node.text.strip(), attrs={"as": "guidance"})
        elif kind == "action":
            self._action(node)
        elif kind in RULES or kind in GUIDANCE:
            self._emit("context", node.line, text, attrs={"as": "rule" if kind in RULES else "guidance"})
        elif kind == "template-output":
            self._write(node)
        elif kind in {"output", "display"}:
            self._emit("say", node.line, text)
        elif kind == "ask":
            self._ask(node)
        elif kind in {"goto", "anchor", "halt", "error", "exit"}:
            self._control_tag(node, text)
        elif kind == "step":
            self._nested(node)
        elif kind in {"for-each", "repeat"}:
            self._each(node)
        elif kind in {"invoke-workflow", "invoke-task", "invoke-protocol", "elicit-required", "websearch"}:
            self._invoke(node, text)
        elif kind == "on-select":
            at = self._emit("when", node.line, f"user selects {node.attrs.get('key', '')}", group=len(self.ops))
            self._emit("do", node.line, text)
            self._land(at)
        elif kind not in IGNORED:
            self._children(node.children)

    def _action(self, node: Node) -> None:
        own = "".join(child.text for child in node.children if child.kind == "text").strip() or node.text.strip()
        tags = [child for child in node.children if child.kind != "text"]
        control = read_control(own)
        if control:
            self._control(control, node.line)
        elif own and not (tags and all(child.kind == "goto" for child in tags) and len(own) < 3):
            self._emit("do", node.line, own)
        self._children(tags)

    def _control(self, control: Control, line: int) -> None:
        guard = None
        if control.condition and control.kind != "set":
            guard = self._emit("when", line, control.condition, group=len(self.ops))
        if control.kind == "goto":
            self.wanted.append((self._emit("jump", line, control.target), control.target, False))
        elif control.kind == "set":
            self._emit("set", line, control.text, attrs={"name": control.target, "default": control.condition})
        elif control.kind == "ask":
            self._emit("ask", line, control.text)
        else:
            self._emit(control.kind, line, control.text)
        if guard is not None:
            self._land(guard)

    def _control_tag(self, node: Node, text: str) -> None:
        if node.kind == "goto":
            target = goto_target(node)
            depends = _BARE_IF.match(" ".join(text.split())) if text != target else None
            guard = self._emit("when", node.line, depends[1], group=len(self.ops)) if depends else None
            self.wanted.append((self._emit("jump", node.line, target), target, True))
            if guard is not None:
                self._land(guard)
        elif node.kind == "anchor":
            self.places[id(node)] = len(self.ops)
        else:
            self._emit("exit" if node.kind == "exit" else "halt", node.line, text or node.attrs.get("workflow", ""))

    def _nested(self, node: Node) -> None:
        number, title = (
            node.attrs.get("n") or node.attrs.get("id") or "",
            node.attrs.get("goal") or node.attrs.get("title") or "",
        )
        self.places[id(node)] = len(self.ops)
        at = None
        if node.attrs.get("if"):
            at = self._emit("when", node.line, node.attrs["if"], group=len(self.ops))
        if title:
            self._emit(
                "context", node.line, f"Step {number}: {title}".replace("Step :", "Step:"), attrs={"as": "guidance"}
            )
        self._children(node.children)
        if at is not None:
            self._land(at)

    def _each(self, node: Node) -> None:
        item, collection = next(iter(node.attrs.items()), ("item", ""))
        if node.kind == "repeat" and "for-each" in node.attrs:
            item, collection = slug(node.attrs["for-each"]), node.attrs["for-each"]
        at = self._emit("each", node.line, collection, attrs={"item": slug(item)})
        self._children(node.children)
        self._close_loop(at, node.line)

    def _ask(self, node: Node) -> None:
        tags = [child for child in node.children if child.kind != "text"]
        own = "".join(child.text for child in node.children if child.kind == "text").strip() or node.inner_text()
        attrs = {"response": node.attrs.get("response", ""), "optional": node.attrs.get("optional", "")}
        each = node.attrs.get("for_each") or node.attrs.get("for-each")
        at = self._emit("each", node.line, each, attrs={"item": slug(each)}) if each else None
        self._emit("ask", node.line, own, attrs=attrs)
        self._close_loop(at, node.line)
        self._children(tags)

    def _write(self, node: Node) -> None:
        names, guidance = sections_of(node.inner_text(), self.workflow.steps[self.step].title)
        if guidance:
            self._emit("context", node.line, guidance, attrs={"as": "guidance"})
        for position, name in enumerate(names):
            if assigned := ASSIGN.match(name):
                self._emit(
                    "set", node.line, assigned[2].strip().strip("\"'"), attrs={"name": assigned[1], "result": "true"}
                )
                continue
            last = "true" if position == len(names) - 1 else ""
            self._emit("write", node.line, name, attrs={"file": node.attrs.get("file", ""), "last": last})

    def _invoke(self, node: Node, text: str) -> None:
        if node.kind == "invoke-protocol":
            if slug(node.attrs.get("name", text)) == "discover_inputs":
                self._emit("discover", node.line)
            else:
                self._emit("do", node.line, f"Follow the protocol {node.attrs.get('name', text)}")
        elif node.kind == "websearch":
            query = text or node.attrs.get("query", "")
            self._emit("do", node.line, f"Say what is known about: {query}", attrs={"search": "true"})
        elif node.kind == "elicit-required":
            self._emit("task", node.line, "advanced-elicitation")
        elif node.kind == "invoke-task":
            task = f"{node.attrs.get('path', '')} {text}".strip()
            self._emit("task", node.line, task, attrs={"halt": node.attrs.get("halt", "")})
        else:
            self._workflow(node, text)

    def _workflow(self, node: Node, text: str) -> None:
        own = "".join(child.text for child in node.children if child.kind == "text").strip() or text
        path = node.attrs.get("path") or next(
            (word for word in own.split() if "/" in word or word.endswith(".yaml")), own
        )
        inputs = {key: value for key, value in node.attrs.items() if key not in {"path", "if"}}
        for child in node.walk():
            if child.kind == "param":
                name, found, value = child.inner_text().partition(":")
                if child.attrs.get("name"):
                    inputs[child.attrs["name"]] = child.inner_text() or child.attrs.get("value", "")
                elif found:
                    inputs[slug(name)] = value.strip().strip("\"'")
        self._emit("invoke", node.line, path, attrs=inputs)

    # -- jumps

    def _resolve(self) -> None:
        by_file = {self.workflow.steps[index].file: start for index, start in self.starts.items()}
        for at, file in self.files:
            self.ops[at] = replace(self.ops[at], target=by_file[file])
        for at, written, as_tag in self.wanted:
            target = self._find(written)
            if target is not None:
                self.ops[at] = replace(self.ops[at], target=target)
                continue
            line = self.ops[at].line
            severity: Literal["error", "warning"] = "error" if as_tag else "warning"
            self.notes.append(
                Note(self.path, line, f"the jump to {written!r} leads to no step and no anchor", severity)
            )
            self.ops[at] = replace(self.ops[at], kind="do", text=f"Go on with {written}", target=-1)

    def _find(self, written: str) -> int | None:
        place = landing(written, self.workflow.steps)
        if place is None:
            return self.labels.get(slug(written))
        return self.places.get(id(place.node)) if place.node is not None else self.starts.get(place.step)
