#!/usr/bin/env bash
# A wheel in an empty environment runs `storyloom doctor` and the demo's first phase, from a folder whose own `tasks/`
# package must not shadow ours.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
uv=$(command -v uv || true)
if [ -n "$uv" ]; then
  uv build -q --wheel --out-dir "$work/dist" "$root"
  uv venv -q --python "$root/.venv/bin/python" "$work/venv"
  uv pip install -q --python "$work/venv/bin/python" -c "$root/constraints.txt" "$work"/dist/*.whl
else
  "$root/.venv/bin/python" -m pip wheel -q --no-deps -w "$work/dist" "$root"
  "$root/.venv/bin/python" -m venv "$work/venv"
  "$work/venv/bin/python" -m pip install -q -c "$root/constraints.txt" "$work"/dist/*.whl
fi
mkdir -p "$work/elsewhere/tasks" && cd "$work/elsewhere"
echo 'raise SystemExit("the wrong tasks package was imported")' > tasks/__init__.py
git init -q . && git -c user.name=t -c user.email=t@localhost commit -q --allow-empty -m start
export STORYLOOM_HOME="$work/home" ANTHROPIC_API_KEY=not-a-key OPENAI_API_KEY=not-a-key
"$work/venv/bin/storyloom" doctor
cp -r "$root/examples" "$work/examples"
"$work/venv/bin/storyloom" demo --folder "$work/demo" --sample "$work/examples/shelf" --until analysis
test -n "$(git -C "$work/demo/project" log storyloom/main --format=%s -- docs/product-brief.md)"
echo "wheel: doctor and the demo's first phase ran"
